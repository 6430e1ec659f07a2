// Colours, in place: torchvision's formulas for float images with pixels in [0, 1].
#pragma once

#include "dnn/tensor.h"

namespace dnn::detail {

// Each changes the elements of an image [1 or 3, h, w]; those of one channel have no saturation and no hue.
void adjust_brightness(const Tensor& image, double factor);
void adjust_contrast(const Tensor& image, double factor);
void adjust_saturation(const Tensor& image, double factor);
void adjust_hue(const Tensor& image, double turn);

}  // namespace dnn::detail
