// Layers, and the operations behind them, against PyTorch; layers.py has the same cases.
#include "dnn/layers.h"

#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

const TorchInput image = R({2, 4, 5, 6});

template <class M>
M evaluating(M module) {
  module.eval();
  return module;
}

const TorchCases layer_cases{
    "layers",
    {
        layer_case("linear", {R({2, 5})}, [] { return Linear(5, 3); }),
        layer_case("conv2d", {image},
                   [] {
                     return Conv2d(4, 6, {.kernel = {3, 2}, .stride = 2, .padding = 1, .groups = 2});
                   }),
        layer_case("conv1d", {R({2, 4, 9})},
                   [] { return Conv1d(4, 6, {.kernel = 3, .stride = 2, .padding = 2, .dilation = 2, .groups = 2}); }),
        layer_case("conv_transpose2d", {image},
                   [] {
                     return ConvTranspose2d(4, 6,
                                            {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
                   }),
        layer_case(
            "conv_transpose2d.dilated", {image},
            [] {
              return ConvTranspose2d(4, 2, {.kernel = {3, 2}, .stride = {3, 1}, .dilation = {1, 2}, .bias = false});
            }),
        layer_case("batch_norm2d", {image}, [] { return BatchNorm2d(4); }),
        layer_case("batch_norm2d.eval", {image}, [] { return evaluating(BatchNorm2d(4)); }),
        layer_case("batch_norm1d", {R({6, 4})}, [] { return BatchNorm1d(4); }),
        layer_case("batch_norm1d.sequence", {R({2, 4, 5})}, [] { return BatchNorm1d(4); }),
        layer_case("layer_norm", {R({3, 2, 6})}, [] { return LayerNorm(6); }),
        layer_case("layer_norm.dims", {image},
                   [] {
                     return LayerNorm(Shape{5, 6});
                   }),
        layer_case("group_norm", {image}, [] { return GroupNorm(2, 4); }),
        layer_case("instance_norm2d", {image}, [] { return InstanceNorm2d(4); }),
        layer_case("instance_norm2d.affine", {image}, [] { return InstanceNorm2d(4, {.affine = true}); }),
        layer_case("instance_norm1d", {R({2, 4, 7})}, [] { return InstanceNorm1d(4); }),
        layer_case("local_response_norm", {R({2, 7, 3, 4})},
                   [] { return LocalResponseNorm({.size = 5, .alpha = 5e-2, .k = 2}); }),
        layer_case("local_response_norm.even", {R({2, 7, 3})},
                   [] { return LocalResponseNorm({.size = 4, .alpha = 0.5}); }),
        layer_case("adaptive_avg_pool2d", {R({2, 3, 7, 8})},
                   [] {
                     return AdaptiveAvgPool2d({3, 5});
                   }),
        layer_case("adaptive_avg_pool2d.global", {image}, [] { return AdaptiveAvgPool2d(1); }),
        layer_case("adaptive_max_pool2d", {R({2, 3, 7, 8})},
                   [] {
                     return AdaptiveMaxPool2d({3, 5});
                   }),
        layer_case("max_pool1d", {R({2, 3, 9})}, [] { return MaxPool1d({.kernel = 3, .stride = 2, .padding = 1}); }),
        layer_case("avg_pool1d", {R({2, 3, 9})}, [] { return AvgPool1d({.kernel = 3, .stride = 2, .padding = 1}); }),
    }};

}  // namespace
}  // namespace dnn::test
