// Pooling and interpolation of images, in the plain layout and in the one that convolutions hand on.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Tensor halves(T t) { return max_pool2d(t[0], {.kernel = 2}); }
Tensor overlapping(T t) { return max_pool2d(t[0], {.kernel = 3, .stride = 2, .padding = 1}); }
Tensor means(T t) { return avg_pool2d(t[0], {.kernel = 2}); }
Tensor mean_of_all(T t) { return adaptive_avg_pool2d(t[0], 1); }
Tensor to_six(T t) { return adaptive_avg_pool2d(t[0], 6); }
Tensor doubled(T t) { return interpolate(t[0], {.scale = 2.0}); }
Tensor doubled_bilinear(T t) { return interpolate(t[0], {.scale = 2.0, .mode = Interpolation::bilinear}); }

}  // namespace

Family pools() {
  return {
      "pool",
      elements,
      {
          {"max_2x2", of(images(64, 56), halves)},
          {"max_2x2_native", of(natives(64, 56), halves)},
          {"max_3x3_stride_2", of(images(64, 56), overlapping)},
          {"max_3x3_stride_2_native", of(natives(64, 56), overlapping)},
          {"max_2x2_of_6x28x28", of(images(6, 28), halves)},
          {"avg_2x2", of(images(64, 56), means)},
          {"avg_2x2_native", of(natives(64, 56), means)},
          {"global_avg", of(images(64, 56), mean_of_all)},
          {"global_avg_native", of(natives(64, 56), mean_of_all)},
          {"adaptive_avg_6x6", of(images(64, 56), to_six)},
          {"nearest_x2", of(images(64, 56), doubled)},
          {"bilinear_x2", of(images(64, 56), doubled_bilinear)},
      },
  };
}

}  // namespace dnn::bench
