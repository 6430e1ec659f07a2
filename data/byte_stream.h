// The bytes of a file in order, decompressed on the way when it is a gzip file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dnn/io.h"

namespace dnn::detail {

class ByteStream {
 public:
  // Throws IoError, FormatError.
  explicit ByteStream(const std::string& path) : ByteStream(path, file_system().open(path)) {}
  // `path` is for error messages.
  ByteStream(const std::string& path, std::unique_ptr<InputFile> file);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  bool compressed() const { return inflater_ != nullptr; }
  // Bytes of the file itself.
  int64_t file_size() const { return file_size_; }
  // The most bytes that the file can hold.
  int64_t capacity() const;
  // Fills `bytes`; returns fewer than asked for only at the end of the file, where a gzip file's checksum has been
  // found right. Throws IoError, and FormatError when the compressed data is damaged or ends early.
  size_t read(std::span<std::byte> bytes);
  // Up to `count` bytes. Memory grows with the bytes that come, so `count` may be a lie.
  std::vector<std::byte> read_up_to(int64_t count);

 private:
  struct Inflater;
  size_t read_plain(std::span<std::byte> bytes);
  size_t inflate(std::span<std::byte> bytes);

  std::string path_;
  std::unique_ptr<InputFile> file_;
  int64_t file_size_ = 0;
  int64_t position_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace dnn::detail
