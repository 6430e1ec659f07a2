// The layer between the convolutions and the fully connected ones.
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

}  // namespace dnn
