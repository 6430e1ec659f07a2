// Files: the file-system seam and the atomic write.
//
// Whatever must not be lost goes through `write_atomically`; whatever comes from outside is read through `read_file` or
// a Reader of its own, which never trusts a size that the file claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dnn {

/// A file being written; every call throws IoError naming path and reason.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  ///< Appends bytes.
  virtual void sync() = 0;                                   ///< Waits until the bytes are on the disk.
  virtual void close() = 0;                                  ///< Closes; errors that show only now are thrown.
};

/// What libdnn asks of the file system; tests put a failing one in its place.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<OutputFile> create(const std::string& path);   ///< Creates or empties a file. Throws IoError.
  virtual void rename(const std::string& from, const std::string& to);   ///< Replaces `to`. Throws IoError.
  virtual void remove(const std::string& path) noexcept;                 ///< Removes a file if it is there.
  virtual void sync_folder(const std::string& path);                     ///< Makes a rename durable. Throws IoError.
  virtual std::vector<std::byte> read(const std::string& path);          ///< All bytes. Throws IoError.
};

/// The file system in use.
FileSystem& file_system();
/// Puts another in its place (nullptr: the real one) and returns the one before; the caller keeps it alive.
FileSystem* set_file_system(FileSystem* replacement);

/// Writes a file so that it is either whole or not there: `path.tmp` in the same folder, sync, rename, sync of the folder.
/// `produce` writes the contents. After any failure the previous file is intact and no `.tmp` is left; throws IoError, or
/// what `produce` throws.
void write_atomically(const std::string& path, const std::function<void(OutputFile&)>& produce);

/// All bytes of a file; throws IoError.
std::vector<std::byte> read_file(const std::string& path);

}  // namespace dnn
