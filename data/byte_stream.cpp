// Reading a file front to back, through zlib when it begins like a gzip file.
#include "data/byte_stream.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dnn/error.h"

namespace dnn::detail {

namespace {
constexpr int64_t chunk_size = 1 << 16;
// Deflate codes at best 258 bytes in 2 bits.
constexpr int64_t best_deflate_ratio = 1032;
constexpr int gzip_window = 15 + 16;  // 16: a gzip file, not a zlib stream
}  // namespace

struct ByteStream::Inflater {
  Inflater() {
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw OutOfMemory("gzip: no memory for decompressing");
  }
  ~Inflater() { inflateEnd(&stream); }

  z_stream stream{};
  std::array<std::byte, chunk_size> input;
  bool between_members = false;  // a gzip file may be several, one behind the other
};

ByteStream::ByteStream(const std::string& path, std::unique_ptr<InputFile> file) : path_(path), file_(std::move(file)) {
  file_size_ = file_->size();
  if (file_size_ < 2) return;
  std::array<std::byte, 2> magic;
  file_->read(0, magic);
  if (magic == std::array{std::byte{0x1f}, std::byte{0x8b}}) inflater_ = std::make_unique<Inflater>();
}

ByteStream::~ByteStream() = default;

int64_t ByteStream::capacity() const { return compressed() ? file_size_ * best_deflate_ratio : file_size_; }

size_t ByteStream::read(std::span<std::byte> bytes) { return compressed() ? inflate(bytes) : read_plain(bytes); }

size_t ByteStream::read_plain(std::span<std::byte> bytes) {
  const auto part = bytes.first(static_cast<size_t>(std::min<int64_t>(std::ssize(bytes), file_size_ - position_)));
  if (!part.empty()) file_->read(position_, part);
  position_ += std::ssize(part);
  return part.size();
}

size_t ByteStream::inflate(std::span<std::byte> bytes) {
  z_stream& z = inflater_->stream;
  size_t done = 0;
  while (done < bytes.size()) {
    if (z.avail_in == 0) {
      z.avail_in = static_cast<uInt>(read_plain(inflater_->input));
      z.next_in = reinterpret_cast<Bytef*>(inflater_->input.data());
      if (z.avail_in == 0) {
        if (inflater_->between_members) break;
        throw FormatError(
            fmt::format("gzip: {} ends in the middle of its compressed data ({} bytes)", path_, file_size_));
      }
    }
    if (inflater_->between_members) {
      inflateReset(&z);
      inflater_->between_members = false;
    }
    const auto room = static_cast<uInt>(std::min<size_t>(bytes.size() - done, chunk_size));
    z.next_out = reinterpret_cast<Bytef*>(bytes.data() + done);
    z.avail_out = room;
    const int status = ::inflate(&z, Z_NO_FLUSH);
    done += room - z.avail_out;
    inflater_->between_members = status == Z_STREAM_END;
    if (status == Z_MEM_ERROR) throw OutOfMemory("gzip: no memory for decompressing");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      throw FormatError(fmt::format("gzip: {} is damaged: {} (at byte {} of {})", path_,
                                    z.msg != nullptr ? z.msg : "needs a dictionary", position_ - z.avail_in,
                                    file_size_));
    }
  }
  return done;
}

std::vector<std::byte> ByteStream::read_up_to(int64_t count) {
  std::vector<std::byte> bytes;
  while (std::ssize(bytes) < count) {
    const size_t before = bytes.size();
    const int64_t step = std::max<int64_t>(chunk_size, std::ssize(bytes));
    bytes.resize(before + static_cast<size_t>(std::min(step, count - std::ssize(bytes))));
    const size_t got = read(std::span(bytes).subspan(before));
    if (before + got < bytes.size()) {
      bytes.resize(before + got);
      break;
    }
  }
  return bytes;
}

}  // namespace dnn::detail
