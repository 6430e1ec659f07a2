// Normalisation, in the plain layout and in the one that convolutions hand on.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

struct BatchNormCase {
  bool native = false, training = true, relu = false, add = false;
  int64_t channels = 64, side = 28;
};

Make batch(const BatchNormCase& c) {
  return [c](const Place& p) {
    const Tensor mean = p.random({c.channels}), var = p.random({c.channels});
    Tensors inputs = c.native ? natives(c.channels, c.side)(p) : images(c.channels, c.side)(p);
    inputs.insert(inputs.end(), {p.random({c.channels}), p.random({c.channels})});
    if (c.add) inputs.push_back(p.native_images(c.channels, c.side));
    const Activation activation = c.relu ? Activation::relu : Activation::none;
    return Operation{inputs, [=](T t) {
                       const Tensor add = c.add ? t[3] : Tensor();
                       return batch_norm(t[0], t[1], t[2], mean, var,
                                         {.training = c.training, .activation = activation, .add = add});
                     }};
  };
}

// With ReLU and pooling behind it, as at the stem of a ResNet.
Operation stem(const Place& p) {
  Tensors inputs = natives(64, 112)(p);
  inputs.insert(inputs.end(), {p.random({64}), p.random({64})});
  return {inputs, [](T t) {
            return batch_norm_max_pool2d(t[0], t[1], t[2], {}, {}, {.activation = Activation::relu},
                                         {.kernel = 3, .stride = 2, .padding = 1});
          }};
}

// A normalisation with a weight and a bias of that size.
Make affine(const Inputs& inputs, int64_t size, const Call& call) {
  return [=](const Place& p) {
    Tensors all = inputs(p);
    all.insert(all.end(), {p.random({size}), p.random({size})});
    return Operation{all, call};
  };
}

Tensor of_neighbours(T t) { return local_response_norm(t[0], {.size = 5}); }

}  // namespace

Family norms() {
  return {
      "norm",
      elements,
      {
          {"batch", batch({})},
          {"batch_native", batch({.native = true})},
          {"batch_relu_native", batch({.native = true, .relu = true})},
          {"batch_add_relu_native", batch({.native = true, .relu = true, .add = true})},
          {"batch_relu_native_512x7x7", batch({.native = true, .relu = true, .channels = 512, .side = 7})},
          {"batch_relu_pool_native", stem},
          {"batch_infer", batch({.training = false})},
          {"batch_infer_native", batch({.native = true, .training = false})},
          {"layer_768", affine(matrices(768), 768, [](T t) { return layer_norm(t[0], {768}, t[1], t[2]); })},
          {"group_32", affine(images(64, 28), 64, [](T t) { return group_norm(t[0], 32, t[1], t[2]); })},
          {"instance", of(images(64, 28), [](T t) { return instance_norm(t[0]); })},
          {"local_response", of(images(96, 27), of_neighbours)},
          {"local_response_native", of(natives(96, 27), of_neighbours)},
      },
  };
}

}  // namespace dnn::bench
