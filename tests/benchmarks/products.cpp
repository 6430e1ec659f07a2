// Matrix products and linear layers; the size counts rows.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Make layer(int64_t in, int64_t out, Activation activation = Activation::none) {
  return [=](const Place& p) {
    return Operation{{p.random({p.n, in}), p.random({out, in}), p.random({out})},
                     [=](T t) { return linear(t[0], t[1], t[2], {.activation = activation}); }};
  };
}

Make product(int64_t k, int64_t columns) {
  return [=](const Place& p) {
    return Operation{{p.random({p.n, k}), p.random({k, columns})}, [](T t) { return matmul(t[0], t[1]); }};
  };
}

// The scores of an attention layer: n queries on n keys.
Operation scores(const Place& p) {
  return {{p.random({8, p.n, 64}), p.random({8, 64, p.n})}, [](T t) { return bmm(t[0], t[1]); }};
}

Operation all_pairs(const Place& p) {
  return {{p.random({p.n}), p.random({1024})}, [](T t) { return outer(t[0], t[1]); }};
}

}  // namespace

Family products() {
  const Sizes rows{{1, 32, 512}, {256, 8192}};
  return {
      "product",
      rows,
      {
          {"linear_784_128_relu", layer(784, 128, Activation::relu)},
          {"linear_128_10", layer(128, 10)},
          {"linear_4096_1000", layer(4096, 1000)},
          {"linear_768_3072_gelu", layer(768, 3072, Activation::gelu_tanh)},
          {"matmul_1024_1024", product(1024, 1024)},
          {"matmul_64_64", product(64, 64)},
          {"bmm_8_heads_of_64", scores},
          {"outer_1024", all_pairs},
      },
  };
}

}  // namespace dnn::bench
