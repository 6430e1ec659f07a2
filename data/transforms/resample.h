// Pixels between pixels: resizing, warping and smoothing.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "data/transforms/image.h"
#include "dnn/data/transforms/geometry.h"
#include "dnn/ops/factory.h"

namespace dnn::detail {

// A window inside the image, resized.
Tensor resize(const Tensor& image, const Window& window, Size2 size, const ResizeOptions& options);

// Weights of a Gaussian at -n/2 ... n/2 (n odd), which add up to 1.
std::vector<float> gaussian(int64_t n, double sigma);
// Smooths a plane [h, w] along its columns and its rows, in place; around it lies its mirror image.
void smooth(float* plane, int64_t h, int64_t w, const std::vector<float>& down, const std::vector<float>& across);

// From a place in the result to one in the image, both counted from the middle: x' = m[0] x + m[1] y + m[2], y' = m[3]
// x
// + m[4] y + m[5].
using Affine = std::array<double, 6>;
// Where the pixels come from under a clockwise rotation, a shift in pixels, a scaling and shears.
Affine inverse_affine(double degrees, double shift_x, double shift_y, double scale, double shear_x, double shear_y);
Tensor affine(const Tensor& image, const Affine& inverse, bool nearest, const Fill& fill);

// Pixel (y, x) of the result comes from (y + down[y, x], x + across[y, x]).
Tensor displace(const Tensor& image, const float* down, const float* across, const Fill& fill);

}  // namespace dnn::detail
