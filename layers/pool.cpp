// Pooling layers.
#include "dnn/layers/pool.h"

#include "layers/text.h"

namespace dnn {

namespace {

std::string describe_pool(const Pool2dOptions& options) {
  std::string text = "kernel=" + detail::text_of(options.kernel);
  if (options.stride != Size2(0) && options.stride != options.kernel)
    text += ", stride=" + detail::text_of(options.stride);
  if (options.padding != Size2(0)) text += ", padding=" + detail::text_of(options.padding);
  return text;
}

}  // namespace

std::string MaxPool2d::describe() const { return describe_pool(options_); }

std::string AvgPool2d::describe() const {
  return describe_pool(options_) + (options_.count_include_pad ? "" : ", count_include_pad=false");
}

}  // namespace dnn
