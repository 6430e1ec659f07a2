// The grid: cells as large as an image and the widest title, drawn one after the other. Letters are rectangles of
// stb_easy_font, a bitmap font that comes as one header.
#include "dnn/data/image_grid.h"

#include <fmt/format.h>
#include <stb/stb_easy_font.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {
namespace {

constexpr int64_t line_height = 12;  // of the font, with what hangs below and the distance to the image

void check(const Tensor& images, const ImageGridOptions& options) {
  if (!images.defined()) throw ArgumentError("image_grid: images are undefined, expected a tensor");
  const std::string facts = fmt::format("images {}", images.shape().str());
  if (images.rank() != 4 || (images.size(1) != 1 && images.size(1) != 3) || images.numel() == 0)
    throw ShapeError(fmt::format("image_grid: expected images [n, 1 or 3, h, w] ({})", facts));
  if (!is_floating(images.dtype()) && images.dtype() != DType::uint8)
    throw DTypeError(fmt::format("image_grid: images are {}, expected uint8 or a floating type ({})",
                                 name_of(images.dtype()), facts));
  const auto at_least = [](const char* name, int64_t value, int64_t least) {
    if (value < least || value > 10000)
      throw ArgumentError(fmt::format("image_grid: {} is {}, expected {} to 10000", name, value, least));
  };
  at_least("columns", options.columns, 1);
  at_least("padding", options.padding, 0);
  at_least("scale", options.scale, 1);
  at_least("title_scale", options.title_scale, 1);
  if (!(options.background >= 0 && options.background <= 1))
    throw ArgumentError(fmt::format("image_grid: background is {}, expected 0 to 1", options.background));
  if (!options.titles.empty() && std::ssize(options.titles) != images.size(0))
    throw ArgumentError(
        fmt::format("image_grid: there are {} titles, expected one for each image ({})", options.titles.size(), facts));
}

uint8_t byte_of(float value) { return static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0f, 1.0f))); }

// Finite numbers stretched to [0, 1], in place.
void stretch(float* values, int64_t count) {
  float low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) low = std::min(low, values[i]), high = std::max(high, values[i]);
  }
  const float range = high > low ? high - low : 1;
  for (int64_t i = 0; i < count; ++i) values[i] = (values[i] - low) / range;
}

// The pixels of images [n, c, h, w] as bytes.
std::vector<uint8_t> bytes_of_images(const Tensor& images, ImageGridOptions::Stretch how) {
  if (images.dtype() == DType::uint8 && how == ImageGridOptions::none) return images.to_vector<uint8_t>();
  std::vector<float> values = images.detach().to(DType::float32).to_vector<float>();
  if (images.dtype() == DType::uint8) {
    for (float& value : values) value /= 255;
  }
  const int64_t parts = how == ImageGridOptions::each ? images.size(0) : 1, size = images.numel() / parts;
  for (int64_t i = 0; how != ImageGridOptions::none && i < parts; ++i) stretch(values.data() + i * size, size);
  std::vector<uint8_t> bytes(values.size());
  std::ranges::transform(values, bytes.begin(), [](float v) { return std::isnan(v) ? uint8_t{0} : byte_of(v); });
  return bytes;
}

// What the font has: printable ASCII.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

int64_t text_width(std::string text) { return stb_easy_font_width(text.data()); }

// A picture [3, h, w] to draw on.
class Canvas {
 public:
  Canvas(int64_t height, int64_t width, uint8_t background)
      : height_(height),
        width_(width),
        picture_(full({3, height, width}, static_cast<int>(background), {.dtype = DType::uint8})),
        pixels_(picture_.data<uint8_t>()) {}

  const Tensor& picture() const { return picture_; }

  void square(int64_t top, int64_t left, int64_t height, int64_t width, std::array<uint8_t, 3> color) {
    for (size_t c = 0; c < 3; ++c) {
      for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + height, height_); ++y) {
        uint8_t* row = pixels_ + (static_cast<int64_t>(c) * height_ + y) * width_;
        std::fill(row + std::clamp<int64_t>(left, 0, width_), row + std::clamp<int64_t>(left + width, 0, width_),
                  color[c]);
      }
    }
  }

  void text(int64_t top, int64_t left, std::string text, int64_t scale, uint8_t gray) {
    struct Corner {
      float x, y, z;
      uint8_t color[4];
    };
    std::vector<Corner> corners(text.size() * 4 * 32);  // no letter takes more than 32 rectangles
    const int quads = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(),
                                          static_cast<int>(corners.size() * sizeof(Corner)));
    for (size_t i = 0; i < static_cast<size_t>(quads); ++i) {
      const Corner &first = corners[4 * i], &opposite = corners[4 * i + 2];
      const auto x = static_cast<int64_t>(first.x), y = static_cast<int64_t>(first.y);
      square(top + y * scale, left + x * scale, (static_cast<int64_t>(opposite.y) - y) * scale,
             (static_cast<int64_t>(opposite.x) - x) * scale, {gray, gray, gray});
    }
  }

 private:
  int64_t height_, width_;
  Tensor picture_;
  uint8_t* pixels_;
};

}  // namespace

Tensor image_grid(const Tensor& images, const ImageGridOptions& options) {
  check(images, options);
  const int64_t n = images.size(0), channels = images.size(1), h = images.size(2), w = images.size(3);
  const std::vector<uint8_t> bytes = bytes_of_images(images, options.stretch);
  std::vector<std::string> titles;
  int64_t cell_width = w * options.scale;
  for (const std::string& title : options.titles) {
    titles.push_back(printable(title));
    cell_width = std::max(cell_width, text_width(titles.back()) * options.title_scale);
  }
  const int64_t title_height = titles.empty() ? 0 : line_height * options.title_scale;
  const int64_t columns = std::min(options.columns, n), rows = (n + columns - 1) / columns;
  const int64_t step_y = title_height + h * options.scale + options.padding, step_x = cell_width + options.padding;
  Canvas canvas(rows * step_y + options.padding, columns * step_x + options.padding,
                byte_of(static_cast<float>(options.background)));
  const uint8_t ink = options.background < 0.5 ? 255 : 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t top = options.padding + i / columns * step_y, left = options.padding + i % columns * step_x;
    if (!titles.empty()) {
      const std::string& title = titles[static_cast<size_t>(i)];
      // The font leaves its first rows empty and ends each letter with a gap.
      const int64_t free = cell_width - (text_width(title) - 1) * options.title_scale;
      canvas.text(top, left + free / 2, title, options.title_scale, ink);
    }
    const uint8_t* pixels = bytes.data() + i * channels * h * w;
    const int64_t first_x = left + (cell_width - w * options.scale) / 2;
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        const uint8_t* pixel = pixels + y * w + x;
        const int64_t plane = channels == 3 ? h * w : 0;
        canvas.square(top + title_height + y * options.scale, first_x + x * options.scale, options.scale, options.scale,
                      {pixel[0], pixel[plane], pixel[2 * plane]});
      }
    }
  }
  return canvas.picture();
}

}  // namespace dnn
