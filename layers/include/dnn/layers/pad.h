// The layer that gives images a border.
#pragma once

#include "dnn/layer.h"

namespace dnn {

/// Widths of a border, in pixels; a negative one cuts off.
struct Border {
  int64_t left = 0;
  int64_t right = 0;
  int64_t top = 0;
  int64_t bottom = 0;
};

/// Zeros around images: [n, c, h, w] -> [n, c, top + h + bottom, left + w + right]; see `pad`.
class ZeroPad2d : public Layer {
 public:
  DNN_MODULE()
  /// One width on all sides.
  explicit ZeroPad2d(int64_t all) : ZeroPad2d(Border{all, all, all, all}) {}
  /// Each its own: `ZeroPad2d({.left = 1, .bottom = 2})`.
  explicit ZeroPad2d(const Border& border) : border_(border) {}
  Tensor forward(Tensor x) override;
  std::string describe() const override;

 private:
  Border border_;
};

}  // namespace dnn
