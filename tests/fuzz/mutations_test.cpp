// 10,000 damaged files of each format: whatever they are, they are read or refused, and memory stays within a limit
// (which is seen under AddressSanitizer).
//
// With DNN_FUZZ_CORPUS=<folder> the originals are left there, <folder>/<format>/<number>, for the fuzz targets.
#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "dnn/interop/safetensors.h"
#include "dnn/ops/factory.h"
#include "tests/data/support.h"
#include "tests/fuzz/entries.h"
#include "tests/fuzz/mutate.h"

#ifdef __SANITIZE_ADDRESS__
// As in sanitizer/allocator_interface.h, which comes with clang only.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void*);
#endif

namespace dnn::test {
namespace {

constexpr int64_t memory_limit = 32 << 20;

// Memory in use, of all allocators together; 0 without AddressSanitizer.
class Memory {
 public:
  static int64_t in_use() { return in_use_; }
  // The most since the last call of this.
  static int64_t take_peak() { return peak_.exchange(in_use_); }

 private:
#ifdef __SANITIZE_ADDRESS__
  static void allocated(const volatile void*, size_t bytes) {
    const int64_t now = in_use_ += static_cast<int64_t>(bytes);
    if (now > peak_) peak_ = now;
  }
  static void freed(const volatile void* block) {
    in_use_ -= static_cast<int64_t>(__sanitizer_get_allocated_size(block));
  }
  static inline const int installed_ = __sanitizer_install_malloc_and_free_hooks(allocated, freed);
#endif
  static inline std::atomic<int64_t> in_use_{0}, peak_{0};
};

void write_corpus(const std::string& format, const std::vector<std::string>& originals) {
  const char* corpus = std::getenv("DNN_FUZZ_CORPUS");
  if (corpus == nullptr) return;
  const std::string folder = std::string(corpus) + "/" + format;
  std::filesystem::create_directories(folder);
  for (size_t i = 0; i < originals.size(); ++i) write_file(folder + "/" + std::to_string(i), originals[i]);
}

// `repair` lets a change reach what lies behind a checksum or a length; every other file goes through it.
void expect_harmless(
    const std::string& format, const std::vector<std::string>& originals, bool (*accepts)(std::span<const std::byte>),
    const std::function<void(std::string&)>& repair = [](std::string&) {}) {
  write_corpus(format, originals);
  for (const std::string& original : originals) EXPECT_TRUE(accepts(std::as_bytes(std::span(original))));
  Mutator mutator(1, originals);
  int accepted = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string bytes = mutator.next();
    if (mutator.below(2) == 0) repair(bytes);
    const int64_t before = Memory::in_use();
    Memory::take_peak();
    try {
      accepted += accepts(std::as_bytes(std::span(bytes)));
    } catch (const std::exception& error) {
      ADD_FAILURE() << format << ", round " << round << ": " << error.what();
    }
    ASSERT_LE(Memory::take_peak() - before, memory_limit) << format << ", round " << round;
  }
  // Else the changes are too wild, or too tame, to show anything.
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 9'000);
  testing::Test::RecordProperty("accepted", accepted);
}

std::vector<std::string> pictures(const std::string& format) {
  std::vector<std::string> files;
  for (const auto& [name, bytes] : load_safetensors(DNN_TEST_IMAGES).tensors) {
    if (!name.starts_with(format) || !name.ends_with("/file")) continue;
    files.emplace_back(reinterpret_cast<const char*>(bytes.data<uint8_t>()), static_cast<size_t>(bytes.numel()));
  }
  return files;
}

// Makes the checksum at the end of compressed pixels right, if they can be decompressed.
void repair_zlib(std::string& bytes, size_t at, size_t length) {
  std::string pixels(1 << 18, '\0');
  z_stream z{};
  if (length < 6 || inflateInit2(&z, -15) != Z_OK) return;
  z.next_in = reinterpret_cast<Bytef*>(&bytes[at + 2]);
  z.avail_in = static_cast<uInt>(length - 6);
  z.next_out = reinterpret_cast<Bytef*>(pixels.data());
  z.avail_out = static_cast<uInt>(pixels.size());
  const int status = inflate(&z, Z_FINISH);
  const auto sum = ::adler32(1, reinterpret_cast<const Bytef*>(pixels.data()), static_cast<uInt>(z.total_out));
  inflateEnd(&z);
  if (status == Z_STREAM_END) bytes.replace(at + length - 4, 4, big_endian(static_cast<uint32_t>(sum)));
}

// Makes the checksums of all chunks right.
void repair_png(std::string& bytes) {
  for (size_t at = 8; at + 12 <= bytes.size();) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[at + i]);
    if (length > bytes.size() - at - 12) return;
    if (bytes.compare(at + 4, 4, "IDAT") == 0) repair_zlib(bytes, at + 8, length);
    const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(&bytes[at + 4]), length + 4);
    bytes.replace(at + 8 + length, 4, big_endian(static_cast<uint32_t>(sum)));
    at += 12 + length;
  }
}

// Makes the header's length reach to the last brace.
void repair_safetensors(std::string& bytes) {
  const size_t end = bytes.rfind('}');
  const uint64_t length = end == std::string::npos || end < 8 ? 0 : end + 1 - 8;
  if (bytes.size() >= 8) std::memcpy(bytes.data(), &length, 8);
}

TEST(Mutations, OfCifarAreHarmless) {
  std::string one(3073, '\x05'), two = one + one, fine = std::string("\x05\x37", 2) + std::string(3072, '\x7f');
  expect_harmless("cifar", {one, two, fine, fine + fine}, accepts_cifar,
                  [](std::string& bytes) { bytes.resize((bytes.size() + 3072) / 3073 * 3073); });
}

TEST(Mutations, OfIdxAreHarmless) {
  const std::string images = idx(0x08, {3, 5, 7}, std::string(105, 'x'));
  expect_harmless(
      "idx",
      {images, idx(0x09, {8}, "abcdefgh"), idx(0x0b, {2, 3}, "abcdefghijkl"), idx(0x0c, {3}, std::string(12, 'z')),
       idx(0x0d, {1, 1, 1, 1, 1, 1, 1, 2}, std::string(8, '?')), idx(0x0e, {2}, std::string(16, '\0')), gzip(images),
       gzip(images.substr(0, 50)) + gzip(images.substr(50)), gzip(idx(0x08, {1000, 100}, std::string(100'000, '\0')))},
      accepts_idx);
}

TEST(Mutations, OfJpegAreHarmless) { expect_harmless("jpeg", pictures("jpeg"), accepts_jpeg); }

TEST(Mutations, OfPngAreHarmless) { expect_harmless("png", pictures("png"), accepts_png, repair_png); }

TEST(Mutations, OfSafetensorsAreHarmless) {
  const TemporaryFolder folder;
  save_safetensors(folder / "a",
                   {{"weight", zeros({3, 5})},
                    {"half", ones({7}, {.dtype = DType::float16})},
                    {"flag", ones({2, 2}, {.dtype = DType::boolean})},
                    {"step", full({}, 3, {.dtype = DType::int64})}},
                   {{"format", "pt"}, {"quote\"", "\xc3\xbc"}});
  save_safetensors(folder / "b", {});
  save_safetensors(folder / "c", {{"none", zeros({0, 4})}, {"bytes", ones({100}, {.dtype = DType::uint8})}});
  expect_harmless("safetensors", {contents(folder / "a"), contents(folder / "b"), contents(folder / "c")},
                  accepts_safetensors, repair_safetensors);
}

}  // namespace
}  // namespace dnn::test
