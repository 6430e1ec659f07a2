// Pooling layers.
#include "dnn/layers/pool.h"

#include "layers/text.h"

namespace dnn {

namespace {

// Of images or of sequences.
std::string text_of(int64_t size) { return std::to_string(size); }
using detail::text_of;

template <class Options>
std::string describe_pool(const Options& options) {
  std::string text = "kernel=" + text_of(options.kernel);
  if (options.stride != 0 && options.stride != options.kernel) text += ", stride=" + text_of(options.stride);
  if (options.padding != 0) text += ", padding=" + text_of(options.padding);
  return text;
}

}  // namespace

std::string MaxPool2d::describe() const { return describe_pool(options_); }

std::string AvgPool2d::describe() const {
  return describe_pool(options_) + (options_.count_include_pad ? "" : ", count_include_pad=false");
}

std::string MaxPool1d::describe() const { return describe_pool(options_); }

std::string AvgPool1d::describe() const {
  return describe_pool(options_) + (options_.count_include_pad ? "" : ", count_include_pad=false");
}

std::string AdaptiveMaxPool2d::describe() const { return "output=" + text_of(output_); }

std::string AdaptiveAvgPool2d::describe() const { return "output=" + text_of(output_); }

}  // namespace dnn
