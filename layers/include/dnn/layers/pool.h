// Pooling layers.
#pragma once

#include "dnn/layer.h"
#include "dnn/ops/pool.h"

namespace dnn {

/// Largest element of each window: [n, c, h, w] -> [n, c, h', w'].
class MaxPool2d : public Layer {
 public:
  DNN_MODULE()
  explicit MaxPool2d(const Pool2dOptions& options) : options_(options) {}
  Tensor forward(Tensor x) override { return max_pool2d(x, options_); }
  std::string describe() const override;

 private:
  Pool2dOptions options_;
};

/// Mean of each window: [n, c, h, w] -> [n, c, h', w'].
class AvgPool2d : public Layer {
 public:
  DNN_MODULE()
  explicit AvgPool2d(const Pool2dOptions& options) : options_(options) {}
  Tensor forward(Tensor x) override { return avg_pool2d(x, options_); }
  std::string describe() const override;

 private:
  Pool2dOptions options_;
};

}  // namespace dnn
