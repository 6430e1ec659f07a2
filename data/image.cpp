// From the formats to tensors and back: choosing the decoder, the channels that were asked for, planes instead of
// interleaved channels, turning.
#include "dnn/data/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "data/jpeg.h"
#include "data/pixels.h"
#include "data/png.h"
#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

using detail::Pixels;

// As Pillow rounds it.
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
}

// Where the pixel of the turned picture lies in the stored one: base + y * row + x * column, in pixels.
struct Walk {
  int64_t height, width, base, row, column;
};

Walk walk(const Pixels& p) {
  const int64_t h = p.height, w = p.width, last = (h - 1) * w;
  switch (p.orientation) {
    case 2: return {h, w, w - 1, w, -1};          // mirrored
    case 3: return {h, w, last + w - 1, -w, -1};  // upside down
    case 4: return {h, w, last, -w, 1};           // upside down and mirrored
    case 5: return {w, h, 0, 1, w};               // transposed
    case 6: return {w, h, last, 1, -w};           // to be turned clockwise
    case 7: return {w, h, last + w - 1, -1, -w};  // transposed over the other diagonal
    case 8: return {w, h, w - 1, -1, w};          // to be turned counter-clockwise
    default: return {h, w, 0, w, 1};
  }
}

Tensor to_tensor(const Pixels& pixels, Channels wanted) {
  const Walk from = walk(pixels);
  const int64_t stored = pixels.channels;
  const bool colour = stored >= 3;
  const int64_t channels = wanted == Channels::gray ? 1 : wanted == Channels::rgb ? 3 : stored;
  const Tensor image = empty({channels, from.height, from.width}, {.dtype = DType::uint8});
  uint8_t* to = image.data<uint8_t>();
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < from.height; ++y) {
      const uint8_t* pixel = pixels.bytes.data() + (from.base + y * from.row) * stored;
      const int64_t step = from.column * stored;
      for (int64_t x = 0; x < from.width; ++x, pixel += step) {
        if (wanted == Channels::stored) {
          *to++ = pixel[c];
        } else if (wanted == Channels::rgb) {
          *to++ = pixel[colour ? c : 0];
        } else {
          *to++ = colour ? luma(pixel) : pixel[0];
        }
      }
    }
  }
  return image;
}

}  // namespace

Tensor decode_image(std::span<const std::byte> bytes, const ImageOptions& options, const std::string& name) {
  if (options.min_size < 0 || options.max_pixels < 1) {
    throw ArgumentError(fmt::format("decode_image: min_size is {} and max_pixels {}, expected 0 or more and 1 or more",
                                    options.min_size, options.max_pixels));
  }
  const std::string where = "decode_image: " + name;
  if (detail::is_jpeg(bytes)) return to_tensor(detail::decode_jpeg(bytes, options, where), options.channels);
  if (detail::is_png(bytes)) return to_tensor(detail::decode_png(bytes, options, where), options.channels);
  std::string begin;
  for (const std::byte b : bytes.first(std::min<size_t>(bytes.size(), 8))) {
    begin += fmt::format(" {:02x}", std::to_integer<int>(b));
  }
  throw FormatError(fmt::format("{} is neither a JPEG nor a PNG ({} bytes, beginning with{})", where, bytes.size(),
                                begin.empty() ? " nothing" : begin));
}

Tensor load_image(const std::string& path, const ImageOptions& options) {
  return decode_image(read_file(path), options, path);
}

std::vector<std::byte> encode_png(const Tensor& image) {
  constexpr int64_t longest_side = 1'000'000;  // libpng's limit
  if (!image.defined()) throw ArgumentError("encode_png: the image is undefined");
  const Shape& shape = image.shape();
  if (shape.rank() != 3 || shape[0] < 1 || shape[0] > 4 || std::min(shape[1], shape[2]) < 1 ||
      std::max(shape[1], shape[2]) > longest_side) {
    throw ShapeError(
        fmt::format("encode_png: image is {}, expected [c, h, w] with 1 to 4 channels and sides of 1 to {}",
                    shape.str(), longest_side));
  }
  const bool bytes = image.dtype() == DType::uint8;
  if (!bytes && !is_floating(image.dtype())) {
    throw DTypeError(
        fmt::format("encode_png: image is {}, expected uint8 or floating-point numbers", name_of(image.dtype())));
  }
  Tensor planes = image.detach().to(Device::cpu());
  planes = (bytes ? planes : planes.to(DType::float32)).contiguous();
  Pixels pixels{.channels = shape[0], .height = shape[1], .width = shape[2], .bytes = {}};
  const int64_t plane = shape[1] * shape[2];
  pixels.bytes.resize(static_cast<size_t>(shape.numel()));
  const auto interleave = [&](const auto* values, auto convert) {
    for (int64_t i = 0; i < shape.numel(); ++i) {
      pixels.bytes[static_cast<size_t>(i % plane * shape[0] + i / plane)] = convert(values[i]);
    }
  };
  if (bytes) {
    interleave(planes.data<uint8_t>(), [](uint8_t value) { return value; });
  } else {
    interleave(planes.data<float>(), [](float value) {
      if (!(value > 0)) return uint8_t{0};  // NaN too
      return static_cast<uint8_t>(std::min(value, 1.0f) * 255.0f + 0.5f);
    });
  }
  return detail::encode_png(pixels);
}

void save_png(const std::string& path, const Tensor& image) {
  const std::vector<std::byte> bytes = encode_png(image);
  write_atomically(path, [&](OutputFile& file) { file.write(bytes); });
}

}  // namespace dnn
