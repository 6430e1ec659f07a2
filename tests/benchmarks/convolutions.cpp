// Convolutions of well-known networks; the size counts images.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

struct Filter {
  int64_t channels, side, filters, kernel, stride, padding;
  int64_t groups = 1;
  Activation activation = Activation::none;
};

// The input of a network is plain, all others come from a convolution.
Make conv(const Filter& f) {
  return [f](const Place& p) {
    const Place place{p.device, p.n * f.channels * f.side * f.side};
    const Tensor x = f.channels < 8 ? place.images(f.channels, f.side) : place.native_images(f.channels, f.side);
    const Tensor weight = p.random({f.filters, f.channels / f.groups, f.kernel, f.kernel});
    return Operation{{x, weight, p.random({f.filters})}, [f](T t) {
                       return conv2d(
                           t[0], t[1], t[2],
                           {.stride = f.stride, .padding = f.padding, .groups = f.groups, .activation = f.activation});
                     }};
  };
}

// With bias, ReLU and 2x2 pooling behind it.
Make pooled(const Filter& f) {
  return [f](const Place& p) {
    const Tensor x = p.random({p.n, f.channels, f.side, f.side});
    const Tensor weight = p.random({f.filters, f.channels, f.kernel, f.kernel});
    return Operation{{x, weight, p.random({f.filters})}, [f](T t) {
                       return conv2d_max_pool2d(t[0], t[1], t[2],
                                                {.padding = f.padding, .activation = Activation::relu}, {});
                     }};
  };
}

Operation transposed(const Place& p) {
  return {{p.random({p.n, 64, 28, 28}), p.random({64, 64, 2, 2})},
          [](T t) { return conv_transpose2d(t[0], t[1], {}, {.stride = 2}); }};
}

}  // namespace

Family convolutions() {
  const Sizes batches{{1, 8}, {32, 256}};
  return {
      "conv",
      batches,
      {
          {"lenet_5x5_1_6", conv({1, 28, 6, 5, 1, 2})},
          {"lenet_5x5_6_16", conv({6, 14, 16, 5, 1, 0})},
          {"lenet_5x5_1_6_relu_pool", pooled({1, 28, 6, 5, 1, 2})},
          {"lenet_5x5_6_16_relu_pool", pooled({6, 14, 16, 5, 1, 0})},
          {"cifar_3x3_16_16", conv({16, 32, 16, 3, 1, 1})},
          {"alexnet_11x11_stride_4", conv({3, 224, 64, 11, 4, 2})},
          {"resnet_7x7_stride_2", conv({3, 224, 64, 7, 2, 3})},
          {"resnet_1x1_64_256", conv({64, 56, 256, 1, 1, 0})},
          {"resnet_1x1_1024_256", conv({1024, 14, 256, 1, 1, 0})},
          {"resnet_3x3_64_64", conv({64, 56, 64, 3, 1, 1})},
          {"resnet_3x3_64_64_relu", conv({64, 56, 64, 3, 1, 1, 1, Activation::relu})},
          {"resnet_3x3_stride_2_128_256", conv({128, 28, 256, 3, 2, 1})},
          {"resnet_3x3_512_512", conv({512, 7, 512, 3, 1, 1})},
          {"3x3_128_in_32_groups", conv({128, 28, 128, 3, 1, 1, 32})},
          {"3x3_64_depthwise", conv({64, 56, 64, 3, 1, 1, 64})},
          {"transposed_2x2_64_64", transposed},
      },
  };
}

}  // namespace dnn::bench
