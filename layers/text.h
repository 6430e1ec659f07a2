// How layers write their options: "kernel=3, padding=1x2".
#pragma once

#include <fmt/format.h>

#include <string>

#include "dnn/ops/conv.h"

namespace dnn::detail {

inline std::string text_of(Size2 size) {
  return size.h == size.w ? fmt::format("{}", size.h) : fmt::format("{}x{}", size.h, size.w);
}

}  // namespace dnn::detail
