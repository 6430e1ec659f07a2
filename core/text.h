// Shapes, types and devices in fmt's format strings, for error messages.
#pragma once

#include <fmt/format.h>

#include "dnn/tensor.h"

template <>
struct fmt::formatter<dnn::Shape> : fmt::formatter<std::string> {
  auto format(const dnn::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(shape.str(), context);
  }
};

template <>
struct fmt::formatter<dnn::DType> : fmt::formatter<std::string> {
  auto format(dnn::DType type, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(dnn::name_of(type), context);
  }
};

template <>
struct fmt::formatter<dnn::Device> : fmt::formatter<std::string> {
  auto format(dnn::Device device, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(device.str(), context);
  }
};
