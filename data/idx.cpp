// The IDX reader: every size is checked against the bytes of the file before memory is taken for it.
#include "dnn/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <span>
#include <utility>

#include "data/byte_stream.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

// What the third byte of the file says about the elements.
struct ElementType {
  uint8_t code;
  const char* name;
  int64_t size;
};
constexpr ElementType element_types[] = {{0x08, "uint8", 1}, {0x09, "int8", 1},    {0x0b, "int16", 2},
                                         {0x0c, "int32", 4}, {0x0d, "float32", 4}, {0x0e, "float64", 8}};

template <class T>
T big_endian(const std::byte* bytes) {
  std::array<std::byte, sizeof(T)> element;
  std::copy_n(bytes, sizeof(T), element.begin());
  if constexpr (std::endian::native == std::endian::little) std::ranges::reverse(element);
  return std::bit_cast<T>(element);
}

// Elements that are Value in the tensor and Stored in the file.
template <class Value, class Stored = Value>
Tensor decode(std::span<const std::byte> bytes, const Shape& shape) {
  const Tensor result = empty(shape, {.dtype = dtype_of<Value>});
  Value* values = result.data<Value>();
  for (size_t at = 0; at < bytes.size(); at += sizeof(Stored)) *values++ = big_endian<Stored>(&bytes[at]);
  return result;
}

Tensor decode(std::span<const std::byte> bytes, const Shape& shape, uint8_t code) {
  switch (code) {
    case 0x09: return decode<int32_t, int8_t>(bytes, shape);
    case 0x0b: return decode<int32_t, int16_t>(bytes, shape);
    case 0x0c: return decode<int32_t>(bytes, shape);
    case 0x0d: return decode<float>(bytes, shape);
    case 0x0e: return decode<double>(bytes, shape);
    default: return decode<uint8_t>(bytes, shape);
  }
}

// Bytes of the elements of a shape, also if every size of 0 were 1, so that strides fit too; -1 beyond 63 bits.
int64_t checked_bytes(const Shape& shape, int64_t element_size) {
  int64_t bytes = element_size;
  for (int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return -1;
  }
  return std::ranges::count(shape, 0) != 0 ? 0 : bytes;
}

Tensor read(detail::ByteStream& stream, const std::string& path) {
  const auto fail = [&]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    return FormatError(fmt::format("read_idx: {}: {}", path, fmt::format(format, std::forward<Args>(args)...)));
  };
  const auto header = [&](int64_t count) {
    auto bytes = stream.read_up_to(count);
    if (std::ssize(bytes) < count) throw fail("ends in its header, after {} of {} bytes", bytes.size(), count);
    return bytes;
  };

  const auto magic = header(4);
  const auto code = std::to_integer<uint8_t>(magic[2]);
  const int rank = std::to_integer<int>(magic[3]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0}) {
    throw fail("is no IDX file, it begins with {:#010x}, expected 0x0000 and a type",
               big_endian<uint32_t>(magic.data()));
  }
  const auto type = std::ranges::find(element_types, code, &ElementType::code);
  if (type == std::end(element_types))
    throw fail("element type {:#04x} is unknown, expected 0x08, 0x09 or 0x0b to 0x0e", code);
  if (rank < 1 || rank > Shape::max_rank) throw fail("has {} dimensions, expected 1 to {}", rank, Shape::max_rank);

  Shape shape;
  const auto sizes = header(4 * rank);
  for (int i = 0; i < rank; ++i) shape.push_back(big_endian<uint32_t>(&sizes[static_cast<size_t>(4 * i)]));

  const int64_t expected = checked_bytes(shape, type->size);
  const int64_t header_size = 4 + 4 * rank;
  if (expected < 0) throw fail("{} {} does not fit 64 bits", type->name, shape.str());
  if (expected > stream.capacity() - header_size) {
    throw fail("{} {} is {} bytes, more than {} bytes of {} can hold", type->name, shape.str(), expected,
               stream.file_size(), stream.compressed() ? "gzip" : "file");
  }
  const auto body = stream.read_up_to(expected);
  if (std::ssize(body) < expected) {
    throw fail("{} {} is {} bytes, but it ends after {}", type->name, shape.str(), expected, body.size());
  }
  if (!stream.read_up_to(1).empty()) {
    throw fail("{} {} is {} bytes, but more bytes follow", type->name, shape.str(), expected);
  }
  return decode(body, shape, code);
}

}  // namespace

Tensor read_idx(const std::string& path) {
  detail::ByteStream stream(path);
  return read(stream, path);
}

Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name) {
  detail::ByteStream stream(name, std::make_unique<MemoryFile>(bytes));
  return read(stream, name);
}

}  // namespace dnn
