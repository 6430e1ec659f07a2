// Files: the file-system seam, the atomic write, reading whole files.
//
// Whatever must not be lost goes through `write_atomically`; whatever comes from outside is read through an InputFile,
// whose size is the file's own and not what its header claims. Both come from `file_system()`, so that "the disk is
// full" is a unit test.
// Errors read `io: cannot write weights.safetensors.tmp (no space left on device)`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dnn {

/// A file being read.
class InputFile {
 public:
  virtual ~InputFile() = default;
  /// Bytes in the file.
  virtual int64_t size() const = 0;
  /// Fills `bytes` from that position on. Throws IoError, also when the file ends before.
  virtual void read(int64_t position, std::span<std::byte> bytes) const = 0;
};

/// Bytes in memory, which must stay there, as a file.
class MemoryFile : public InputFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  int64_t size() const override { return std::ssize(bytes_); }
  void read(int64_t position, std::span<std::byte> bytes) const override;

 private:
  std::span<const std::byte> bytes_;
};

/// A file being written; every call throws IoError naming path and reason. The destructor closes without a report.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  ///< Appends bytes.
  virtual void sync() = 0;                                   ///< Waits until the bytes are on the disk.
  virtual void close() = 0;                                  ///< Closes; errors that show only now are thrown.

  /// Appends characters.
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
};

/// What libdnn asks of the file system. This class is the real one; tests put a failing one in its place.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Creates a file, or empties it. Throws IoError.
  virtual std::unique_ptr<OutputFile> create(const std::string& path);
  /// Gives a file another name, replacing the file that has it. Throws IoError.
  virtual void rename(const std::string& from, const std::string& to);
  /// Removes a file if it is there.
  virtual void remove(const std::string& path) noexcept;
  /// Makes the names in a folder durable. Throws IoError.
  virtual void sync_folder(const std::string& path);
  /// Makes a folder and those above it where they are missing. Throws IoError.
  virtual void create_folders(const std::string& path);
  /// Opens a regular file for reading. Throws IoError, also for a folder, a pipe or a device.
  virtual std::unique_ptr<InputFile> open(const std::string& path);
};

/// The file system in use.
FileSystem& file_system();
/// Puts another in its place (nullptr: the real one) and returns the one before; the caller keeps it alive.
FileSystem* set_file_system(FileSystem* replacement);

/// Writes a file so that it is either whole or not there: `path.tmp` in the same folder, sync, rename, sync of the
/// folder. `produce` writes the contents. After a failure the file before is intact and no `.tmp` is left; when it is
/// the last sync that fails, the new file is there, whole, but may not survive a power cut. Throws IoError, or what
/// `produce` throws.
void write_atomically(const std::string& path, const std::function<void(OutputFile&)>& produce);

/// Throws the IoError that writing `path` would meet at once: no such folder, no permission, read-only file system.
/// Worth asking before hours of work whose result goes there. Makes missing folders.
void prepare_to_write(const std::string& path);

/// All bytes of a file; throws IoError, also when there are more than `limit` bytes.
std::vector<std::byte> read_file(const std::string& path, int64_t limit = int64_t{1} << 31);

}  // namespace dnn
