// The real file system on POSIX calls, and the atomic write on top of whatever file system is in use.
#include "dnn/io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "dnn/error.h"

namespace dnn {
namespace {

[[noreturn]] void fail(const char* verb, const std::string& path, const std::string& reason) {
  throw IoError(fmt::format("io: cannot {} {} ({})", verb, path, reason));
}

[[noreturn]] void fail(const char* verb, const std::string& path, int error) {
  std::string reason = std::generic_category().message(error);
  reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  fail(verb, path, reason);
}

// Calls until it is not a signal that ended the call.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  Descriptor(const char* verb, const std::string& path, int flags) {
    fd_ = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
    if (fd_ < 0) fail(verb, path, errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

class PosixInput : public InputFile {
 public:
  // Without O_NONBLOCK, opening a pipe waits for its other end.
  explicit PosixInput(const std::string& path) : path_(path), file_("open", path, O_RDONLY | O_NONBLOCK) {
    struct stat status {};
    if (::fstat(file_.get(), &status) < 0) fail("read", path, errno);
    if (!S_ISREG(status.st_mode)) fail("read", path, "not a regular file");
    size_ = status.st_size;
  }

  int64_t size() const override { return size_; }

  void read(int64_t position, std::span<std::byte> bytes) const override {
    while (!bytes.empty()) {
      const ssize_t got = retry([&] { return ::pread(file_.get(), bytes.data(), bytes.size(), position); });
      if (got < 0) fail("read", path_, errno);
      if (got == 0) fail("read", path_, fmt::format("it ends at byte {}, {} more expected", position, bytes.size()));
      position += got;
      bytes = bytes.subspan(static_cast<size_t>(got));
    }
  }

 private:
  std::string path_;
  Descriptor file_;
  int64_t size_ = 0;
};

class PosixOutput : public OutputFile {
 public:
  explicit PosixOutput(const std::string& path) : path_(path), file_("create", path, O_WRONLY | O_CREAT | O_TRUNC) {}

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = retry([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
      if (written < 0) fail("write", path_, errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void sync() override {
    if (retry([&] { return ::fsync(file_.get()); }) < 0) fail("sync", path_, errno);
  }

  // The descriptor is gone even when close fails, also after EINTR (Linux): never close twice.
  void close() override {
    const int fd = file_.release();
    if (fd >= 0 && ::close(fd) < 0 && errno != EINTR) fail("close", path_, errno);
  }

 private:
  std::string path_;
  Descriptor file_;
};

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string temporary_name(const std::string& path) { return path + ".tmp"; }

FileSystem& real_file_system() {
  static FileSystem real;
  return real;
}

std::atomic<FileSystem*> current{nullptr};

}  // namespace

void MemoryFile::read(int64_t position, std::span<std::byte> bytes) const {
  if (position < 0 || position > size() || std::ssize(bytes) > size() - position) {
    fail("read", "memory", fmt::format("{} bytes from byte {} on, of {}", bytes.size(), position, bytes_.size()));
  }
  std::ranges::copy(bytes_.subspan(static_cast<size_t>(position), bytes.size()), bytes.begin());
}

std::unique_ptr<OutputFile> FileSystem::create(const std::string& path) { return std::make_unique<PosixOutput>(path); }

void FileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) fail("replace", to, errno);
}

void FileSystem::remove(const std::string& path) noexcept { ::unlink(path.c_str()); }

void FileSystem::sync_folder(const std::string& path) {
  const Descriptor folder("open folder", path, O_RDONLY | O_DIRECTORY);
  // EINVAL: this file system has no sync of folders and makes a rename durable in its own way.
  if (retry([&] { return ::fsync(folder.get()); }) < 0 && errno != EINVAL) fail("sync folder", path, errno);
}

void FileSystem::create_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail("make folder", path, error.value());
}

std::unique_ptr<InputFile> FileSystem::open(const std::string& path) { return std::make_unique<PosixInput>(path); }

FileSystem& file_system() {
  FileSystem* replacement = current.load();
  return replacement ? *replacement : real_file_system();
}

FileSystem* set_file_system(FileSystem* replacement) { return current.exchange(replacement); }

void write_atomically(const std::string& path, const std::function<void(OutputFile&)>& produce) {
  FileSystem& files = file_system();
  const std::string temporary = temporary_name(path);
  try {
    const std::unique_ptr<OutputFile> file = files.create(temporary);
    produce(*file);
    file->sync();
    file->close();
    files.rename(temporary, path);
  } catch (...) {
    files.remove(temporary);
    throw;
  }
  files.sync_folder(folder_of(path));
}

void prepare_to_write(const std::string& path) {
  FileSystem& files = file_system();
  files.create_folders(folder_of(path));
  const std::string temporary = temporary_name(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("write", path, "it is a folder");
  files.create(temporary)->close();
  files.remove(temporary);
}

std::vector<std::byte> read_file(const std::string& path, int64_t limit) {
  const std::unique_ptr<InputFile> file = file_system().open(path);
  if (file->size() > limit)
    fail("read", path, fmt::format("it has {} bytes, at most {} expected", file->size(), limit));
  std::vector<std::byte> bytes(static_cast<size_t>(file->size()));
  file->read(0, bytes);
  return bytes;
}

}  // namespace dnn
