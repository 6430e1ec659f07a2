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
  /// As given.
  const Pool2dOptions& options() const { return options_; }
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

/// Largest element of each window of a sequence: [n, c, l] -> [n, c, l'].
class MaxPool1d : public Layer {
 public:
  DNN_MODULE()
  explicit MaxPool1d(const Pool1dOptions& options) : options_(options) {}
  Tensor forward(Tensor x) override { return max_pool1d(x, options_); }
  std::string describe() const override;

 private:
  Pool1dOptions options_;
};

/// Mean of each window of a sequence: [n, c, l] -> [n, c, l'].
class AvgPool1d : public Layer {
 public:
  DNN_MODULE()
  explicit AvgPool1d(const Pool1dOptions& options) : options_(options) {}
  Tensor forward(Tensor x) override { return avg_pool1d(x, options_); }
  std::string describe() const override;

 private:
  Pool1dOptions options_;
};

/// Largest element of each bin: [n, c, h, w] -> [n, c, output.h, output.w], whatever the image's size.
class AdaptiveMaxPool2d : public Layer {
 public:
  DNN_MODULE()
  explicit AdaptiveMaxPool2d(Size2 output) : output_(output) {}
  Tensor forward(Tensor x) override { return adaptive_max_pool2d(x, output_); }
  std::string describe() const override;

 private:
  Size2 output_;
};

/// Mean of each bin: [n, c, h, w] -> [n, c, output.h, output.w], whatever the image's size; 1 is global pooling.
class AdaptiveAvgPool2d : public Layer {
 public:
  DNN_MODULE()
  explicit AdaptiveAvgPool2d(Size2 output) : output_(output) {}
  Tensor forward(Tensor x) override { return adaptive_avg_pool2d(x, output_); }
  std::string describe() const override;

 private:
  Size2 output_;
};

}  // namespace dnn
