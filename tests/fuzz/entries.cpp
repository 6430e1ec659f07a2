// Parsing under small limits, so that a large picture costs a fuzzer no time.
#include "tests/fuzz/entries.h"

#include <stdexcept>
#include <vector>

#include "data/bytes.h"
#include "data/cifar_records.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "dnn/data/idx.h"
#include "dnn/data/image.h"
#include "dnn/error.h"
#include "dnn/interop/safetensors.h"

namespace dnn::test {

namespace {

constexpr int64_t most_pixels = 1 << 16;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Reads every byte, for the sanitizers to see.
int64_t byte_count(const Tensor& t) {
  const int64_t count = t.numel() * static_cast<int64_t>(size_of(t.dtype()));
  unsigned sum = 0;
  const std::byte* bytes = detail::bytes_of(t);
  for (int64_t i = 0; i < count; ++i) sum += std::to_integer<unsigned>(bytes[i]);
  require(sum <= 255u * static_cast<unsigned>(count), "more than the sum of bytes");
  return count;
}

template <class Parse>
bool accepts(Parse parse) {
  try {
    parse();
  } catch (const FormatError&) {
    return false;
  }
  return true;
}

// A picture as different options have it; which ones, the number of bytes decides.
void decode(std::span<const std::byte> bytes) {
  constexpr ImageOptions choices[] = {
      {.max_pixels = most_pixels},
      {.channels = Channels::gray, .min_size = 8, .exif_orientation = true, .max_pixels = most_pixels},
      {.channels = Channels::rgb, .min_size = 1, .exif_orientation = true, .max_pixels = most_pixels}};
  const Tensor image = decode_image(bytes, choices[bytes.size() % 3]);
  require(image.dtype() == DType::uint8 && image.rank() == 3, "no picture");
  require(image.size(0) >= 1 && image.size(0) <= 4 && image.size(1) * image.size(2) <= most_pixels, "wrong size");
  require(byte_count(image) == image.numel(), "wrong number of bytes");
}

}  // namespace

bool accepts_cifar(std::span<const std::byte> bytes) {
  const detail::CifarFormat formats[] = {{"cifar10", {10}, 0}, {"cifar100", {20, 100}, 1}};
  const detail::CifarFormat& format = formats[bytes.size() % 3074 == 0];
  return accepts([&] {
    const auto count = static_cast<size_t>(detail::count_cifar(std::ssize(bytes), format, "bytes"));
    std::vector<uint8_t> pixels(count * detail::cifar_pixels);
    std::vector<int64_t> labels(count, -1);
    detail::decode_cifar(bytes, format, "bytes", pixels.data(), labels.data());
    for (const int64_t label : labels) require(label >= 0 && label < format.classes[format.label], "wrong label");
  });
}

bool accepts_idx(std::span<const std::byte> bytes) {
  return accepts([&] { require(byte_count(parse_idx(bytes)) <= 4 * 1032 * std::ssize(bytes), "more than there was"); });
}

// By its decoder even when the first bytes do not say JPEG.
bool accepts_jpeg(std::span<const std::byte> bytes) {
  return accepts([&] {
    if (detail::is_jpeg(bytes)) return decode(bytes);
    detail::decode_jpeg(bytes, {.max_pixels = most_pixels}, "bytes");
  });
}

bool accepts_png(std::span<const std::byte> bytes) {
  return accepts([&] {
    if (detail::is_png(bytes)) return decode(bytes);
    detail::decode_png(bytes, {.max_pixels = most_pixels}, "bytes");
  });
}

bool accepts_safetensors(std::span<const std::byte> bytes) {
  return accepts([&] {
    const Safetensors file = parse_safetensors(bytes);
    int64_t held = 0;
    for (const auto& [name, t] : file.tensors) held += byte_count(t);
    require(held <= std::ssize(bytes), "more than there was");
  });
}

}  // namespace dnn::test
