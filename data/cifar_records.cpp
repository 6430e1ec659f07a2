// Cutting the records of a CIFAR file into labels and pixels.
#include "data/cifar_records.h"

#include <fmt/format.h>

#include <cstring>

#include "dnn/error.h"

namespace dnn::detail {

namespace {
int64_t record_bytes(const CifarFormat& format) { return std::ssize(format.classes) + cifar_pixels; }
}  // namespace

int64_t count_cifar(int64_t bytes, const CifarFormat& format, const std::string& path) {
  const int64_t record = record_bytes(format);
  if (bytes == 0 || bytes % record != 0) {
    throw FormatError(fmt::format("{}: {} holds {} bytes, expected images of {} bytes ({} for labels, {} pixels)",
                                  format.name, path, bytes, record, format.classes.size(), cifar_pixels));
  }
  return bytes / record;
}

void decode_cifar(std::span<const std::byte> bytes, const CifarFormat& format, const std::string& path, uint8_t* pixels,
                  int64_t* labels) {
  const int64_t count = count_cifar(std::ssize(bytes), format, path);
  const std::byte* record = bytes.data();
  for (int64_t i = 0; i < count; ++i, record += record_bytes(format), pixels += cifar_pixels) {
    for (size_t k = 0; k < format.classes.size(); ++k) {
      const auto label = std::to_integer<int64_t>(record[k]);
      if (label >= format.classes[k]) {
        throw FormatError(fmt::format("{}: {}: the {}label of image {} is {}, expected 0 to {}", format.name, path,
                                      format.classes.size() > 1 && k == 0 ? "coarse " : "", i, label,
                                      format.classes[k] - 1));
      }
      if (k == format.label) labels[i] = label;
    }
    std::memcpy(pixels, record + format.classes.size(), cifar_pixels);
  }
}

}  // namespace dnn::detail
