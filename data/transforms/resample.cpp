// Resampling: results are float32 sums over the pixels around a place, as torchvision's for tensors.
#include "data/transforms/resample.h"

#include <algorithm>
#include <numbers>

namespace dnn::detail {
namespace {

// For each place of a result along one dimension the first place that it is made of, and the weights from there on.
struct Taps {
  std::vector<int64_t> begin = {};
  std::vector<int64_t> count = {};
  std::vector<float> weights = {};  // `width` for each place
  int64_t width = 0;
};

Taps nearest_taps(int64_t from, int64_t to) {
  Taps taps{.weights = std::vector<float>(static_cast<size_t>(to), 1), .width = 1};
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i) {
    taps.begin.push_back(std::min(static_cast<int64_t>(static_cast<float>(i) * scale), from - 1));
    taps.count.push_back(1);
  }
  return taps;
}

// A triangle over each place, as wide as two pixels of the result where that is smaller, else as two of the image.
Taps linear_taps(int64_t from, int64_t to, bool antialias) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = antialias ? std::max(scale, 1.0) : 1.0;
  Taps taps{.width = 2 * static_cast<int64_t>(std::ceil(reach)) + 1};
  taps.weights.resize(static_cast<size_t>(to * taps.width));
  for (int64_t i = 0; i < to; ++i) {
    const double middle = scale * (static_cast<double>(i) + 0.5);
    const int64_t begin = std::max<int64_t>(static_cast<int64_t>(middle - reach + 0.5), 0);
    const int64_t end = std::min(static_cast<int64_t>(middle + reach + 0.5), from);
    float* weights = taps.weights.data() + i * taps.width;
    double total = 0;
    const auto weight = [&](int64_t j) {
      return std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - middle) / reach);
    };
    for (int64_t j = begin; j < end; ++j) total += weight(j);
    for (int64_t j = begin; j < end; ++j) weights[j - begin] = static_cast<float>(weight(j) / total);
    taps.begin.push_back(begin);
    taps.count.push_back(end - begin);
  }
  return taps;
}

// out = sum of rows with weights.
void add_rows(const float* rows, int64_t stride, int64_t n, const float* weights, int64_t count, float* out) {
  for (int64_t x = 0; x < n; ++x) out[x] = weights[0] * rows[x];
  for (int64_t k = 1; k < count; ++k) {
    const float* row = rows + k * stride;
    for (int64_t x = 0; x < n; ++x) out[x] += weights[k] * row[x];
  }
}

// The taps of a dimension; a size that stays is taken as it is.
Taps taps_for(int64_t from, int64_t to, const ResizeOptions& options) {
  return options.nearest || from == to ? nearest_taps(from, to) : linear_taps(from, to, options.antialias);
}

}  // namespace

Tensor resize(const Tensor& image, const Window& window, Size2 size, const ResizeOptions& options) {
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const Tensor result = empty({channels, size.h, size.w});
  const Taps down = taps_for(window.h, size.h, options), across = taps_for(window.w, size.w, options);
  std::vector<float> line(static_cast<size_t>(window.w));
  float* out = result.data<float>();
  for (int64_t c = 0; c < channels; ++c) {
    const float* pixels = image.data<float>() + (c * height + window.top) * width + window.left;
    for (size_t y = 0; y < static_cast<size_t>(size.h); ++y, out += size.w) {
      const float* weights = down.weights.data() + static_cast<int64_t>(y) * down.width;
      add_rows(pixels + down.begin[y] * width, width, window.w, weights, down.count[y], line.data());
      weights = across.weights.data();
      for (size_t x = 0; x < static_cast<size_t>(size.w); ++x, weights += across.width) {
        const float* from = line.data() + across.begin[x];
        float sum = 0;
        for (int64_t k = 0; k < across.count[x]; ++k) sum += weights[k] * from[k];
        out[x] = sum;
      }
    }
  }
  return result;
}

std::vector<float> gaussian(int64_t n, double sigma) {
  std::vector<double> values;
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(i - n / 2) / sigma;
    values.push_back(std::exp(-0.5 * x * x));
    total += values.back();
  }
  std::vector<float> weights;
  for (double value : values) weights.push_back(static_cast<float>(value / total));
  return weights;
}

void smooth(float* plane, int64_t h, int64_t w, const std::vector<float>& down, const std::vector<float>& across) {
  const int64_t rows = std::ssize(down) / 2, columns = std::ssize(across) / 2;
  std::vector<float> padded(static_cast<size_t>((h + 2 * rows) * w));
  for (int64_t y = 0; y < h + 2 * rows; ++y)
    std::copy_n(plane + padded_place(y - rows, h, PaddingMode::reflect) * w, w, padded.data() + y * w);
  std::vector<float> line(static_cast<size_t>(w + 2 * columns));
  for (int64_t y = 0; y < h; ++y) {
    float* middle = line.data() + columns;
    add_rows(padded.data() + y * w, w, w, down.data(), std::ssize(down), middle);
    for (int64_t x = 1; x <= columns; ++x) {
      middle[-x] = middle[padded_place(-x, w, PaddingMode::reflect)];
      middle[w - 1 + x] = middle[padded_place(w - 1 + x, w, PaddingMode::reflect)];
    }
    add_rows(line.data(), 1, w, across.data(), std::ssize(across), plane + y * w);
  }
}

namespace {

// Pixel (y, x) of the result comes from `place(y, x)` = {row, column} of the image.
template <class Place>
Tensor warp(const Tensor& image, bool nearest, const Fill& fill, Place place) {
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2), plane = height * width;
  const Tensor result = empty(image.shape());
  const float* pixels = image.data<float>();
  float* out = result.data<float>();
  const auto inside = [&](int64_t row, int64_t column) {
    return row >= 0 && row < height && column >= 0 && column < width;
  };
  // Far away, and nowhere (NaN), is outside too, and fits an integer.
  const auto limited = [](double v, int64_t size) {
    return v > -2 ? std::min(v, static_cast<double>(size) + 1) : -2.0;
  };
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x, ++out) {
      const auto [from_y, from_x] = place(y, x);
      const double row = limited(from_y, height), column = limited(from_x, width);
      if (nearest) {
        const auto r = static_cast<int64_t>(std::nearbyint(row)), s = static_cast<int64_t>(std::nearbyint(column));
        for (int64_t c = 0; c < channels; ++c)
          out[c * plane] = inside(r, s) ? pixels[c * plane + r * width + s] : fill[c];
        continue;
      }
      const auto r = static_cast<int64_t>(std::floor(row)), s = static_cast<int64_t>(std::floor(column));
      const auto v = static_cast<float>(row - static_cast<double>(r));
      const auto u = static_cast<float>(column - static_cast<double>(s));
      const float weights[4] = {(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u};
      if (inside(r, s) && inside(r + 1, s + 1)) {
        const float* corner = pixels + r * width + s;
        for (int64_t c = 0; c < channels; ++c, corner += plane)
          out[c * plane] = weights[0] * corner[0] + weights[1] * corner[1] + weights[2] * corner[width] +
                           weights[3] * corner[width + 1];
        continue;
      }
      for (int64_t c = 0; c < channels; ++c) {
        const auto at = [&](int64_t i, int64_t j) {
          return inside(i, j) ? pixels[c * plane + i * width + j] : fill[c];
        };
        out[c * plane] = weights[0] * at(r, s) + weights[1] * at(r, s + 1) + weights[2] * at(r + 1, s) +
                         weights[3] * at(r + 1, s + 1);
      }
    }
  }
  return result;
}

struct Place {
  double y, x;
};

}  // namespace

Affine inverse_affine(double degrees, double shift_x, double shift_y, double scale, double shear_x, double shear_y) {
  constexpr double radians = std::numbers::pi / 180;
  const double turn = degrees * radians, sx = shear_x * radians, sy = shear_y * radians;
  // Rotation times shear, as torchvision has them.
  const double a = std::cos(turn - sy) / std::cos(sy), b = -a * std::tan(sx) - std::sin(turn);
  const double c = std::sin(turn - sy) / std::cos(sy), d = -c * std::tan(sx) + std::cos(turn);
  Affine inverse{d / scale, -b / scale, 0, -c / scale, a / scale, 0};
  inverse[2] = -inverse[0] * shift_x - inverse[1] * shift_y;
  inverse[5] = -inverse[3] * shift_x - inverse[4] * shift_y;
  return inverse;
}

Tensor affine(const Tensor& image, const Affine& m, bool nearest, const Fill& fill) {
  const double middle_y = static_cast<double>(image.size(1) - 1) / 2;
  const double middle_x = static_cast<double>(image.size(2) - 1) / 2;
  return warp(image, nearest, fill, [&](int64_t row, int64_t column) {
    const double y = static_cast<double>(row) - middle_y, x = static_cast<double>(column) - middle_x;
    return Place{m[3] * x + m[4] * y + m[5] + middle_y, m[0] * x + m[1] * y + m[2] + middle_x};
  });
}

Tensor displace(const Tensor& image, const float* down, const float* across, const Fill& fill) {
  const int64_t width = image.size(2);
  return warp(image, false, fill, [&](int64_t y, int64_t x) {
    return Place{static_cast<double>(y) + static_cast<double>(down[y * width + x]),
                 static_cast<double>(x) + static_cast<double>(across[y * width + x])};
  });
}

}  // namespace dnn::detail
