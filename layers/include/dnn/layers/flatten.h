// The layers between the convolutions and the fully connected ones, and the one that does nothing.
#pragma once

#include "dnn/layer.h"

namespace dnn {

/// Dimensions from `start` to `end` as one: [n, c, h, w] -> [n, c * h * w] by default.
class Flatten : public Layer {
 public:
  DNN_MODULE()
  explicit Flatten(int64_t start = 1, int64_t end = -1) : start_(start), end_(end) {}
  Tensor forward(Tensor x) override { return x.flatten(start_, end_); }

 private:
  int64_t start_, end_;
};

/// One dimension as several: [n, 12] -> [n, 3, 2, 2] for Unflatten(1, {3, 2, 2}); one size may be -1.
class Unflatten : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError for no sizes, and for a size below 1 that is not -1.
  Unflatten(int64_t dim, const Shape& sizes);
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  int64_t dim_;
  Shape sizes_;
};

/// Its input, for the place of a layer that is not wanted.
class Identity : public Layer {
 public:
  DNN_MODULE()
  Tensor forward(Tensor x) override { return x; }
};

}  // namespace dnn
