// The dropout layers (Srivastava et al., "Dropout", JMLR 2014).
#pragma once

#include "dnn/layer.h"

namespace dnn {

/// In training zeroes elements with probability p and scales the rest by 1 / (1 - p); in evaluation the identity.
class Dropout : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError for p outside [0, 1].
  explicit Dropout(double p = 0.5);
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  double p_;
};

/// In training zeroes whole channels of sequences [n, c, l] with probability p, see `dropout1d`.
class Dropout1d : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError for p outside [0, 1].
  explicit Dropout1d(double p = 0.5);
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  double p_;
};

/// In training zeroes whole channels of images [n, c, h, w] with probability p, see `dropout2d`.
class Dropout2d : public Layer {
 public:
  DNN_MODULE()
  /// Throws ArgumentError for p outside [0, 1].
  explicit Dropout2d(double p = 0.5);
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  double p_;
};

}  // namespace dnn
