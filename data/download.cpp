// Downloading with the curl command: into a .part file, which gets its name when its checksum has been found right. An
// archive is then unpacked by the tar command into a .unpack folder, whose files get their names when all are there.
#include "data/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>

#include "data/byte_stream.h"
#include "dnn/error.h"

extern char** environ;

namespace dnn::detail {

namespace {

std::string error_text(int code) { return std::generic_category().message(code); }

// A file descriptor that is closed at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

// All that comes out of a descriptor, as one line, cut to a length fit for an error message.
std::string read_line(int descriptor) {
  constexpr size_t longest = 300;
  std::string line;
  std::array<char, 4096> part;
  while (true) {
    const ssize_t count = ::read(descriptor, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    line.append(part.data(), std::min(static_cast<size_t>(count), longest - std::min(longest, line.size())));
  }
  while (!line.empty() && line.back() == '\n') line.pop_back();
  std::ranges::replace(line, '\n', ' ');
  return line;
}

// Runs a program found on PATH, without a shell; returns why it failed, empty when it did not. With `output`, what it
// writes there comes back as one line.
std::string run(std::vector<std::string> arguments, std::string* output = nullptr) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return error_text(errno);
  const Descriptor from_program(ends[0]);
  Descriptor to_us(ends[1]);

  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (output == nullptr) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  } else {
    posix_spawn_file_actions_adddup2(&actions, to_us.get(), STDOUT_FILENO);
  }
  posix_spawn_file_actions_adddup2(&actions, to_us.get(), STDERR_FILENO);
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return fmt::format("there is no {} command", arguments[0]);
  if (error != 0) return fmt::format("{}: {}", arguments[0], error_text(error));

  to_us.close();
  const std::string said = read_line(from_program.get());
  int status = 0;
  while (::waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) return error_text(errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    if (output != nullptr) *output = said;
    return "";
  }
  if (!said.empty()) return said;
  return WIFEXITED(status) ? fmt::format("{} ended with exit status {}", arguments[0], WEXITSTATUS(status))
                           : fmt::format("{} was ended by signal {}", arguments[0], WTERMSIG(status));
}

// What is wrong with a downloaded file, empty when nothing is. CRC-32 and the size find every accident of a transfer,
// and zlib has them; that nobody else sits on the line is the business of https.
std::string verify(const RemoteFile& file, const std::string& path) {
  ByteStream stream(path);
  std::vector<std::byte> chunk(1 << 16);
  int64_t size = 0;
  uLong crc = ::crc32(0, nullptr, 0);
  while (size <= file.size) {
    const size_t count = stream.read(chunk);
    if (count == 0) break;
    size += static_cast<int64_t>(count);
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(count));
  }
  if (size > file.size) return fmt::format("it holds more than {} bytes", file.size);
  if (size == file.size && crc == file.crc32) return "";
  return fmt::format("it holds {} bytes with checksum {:08x}, expected {} with {:08x}", size, crc, file.size,
                     file.crc32);
}

std::string sync(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() < 0 || ::fsync(file.get()) != 0 ? error_text(errno) : "";
}

// What is wrong with a downloaded archive, empty when nothing is.
std::string verify(const RemoteArchive& archive, const std::string& path) {
  const int64_t size = file_system().open(path)->size();
  if (size != archive.size) return fmt::format("it has {} bytes, expected {}", size, archive.size);
  std::string said;
  const std::string problem = run({"md5sum", "--", path}, &said);
  if (!problem.empty()) return problem;
  const std::string sum = said.substr(said.starts_with('\\') ? 1 : 0, 32);  // it marks names with odd characters
  return sum == archive.md5 ? "" : fmt::format("its MD5 checksum is {}, expected {}", sum, archive.md5);
}

// Downloads one address to a path; returns why it failed, empty when it did not.
template <class Remote>
std::string fetch(const Remote& file, const std::string& url, const std::string& part, const char* seconds) {
  std::string problem = run({"curl", "--fail", "--silent", "--show-error", "--location", "--proto", "=https",
                             "--connect-timeout", "10", "--max-time", seconds, "--output", part, "--url", url});
  if (!problem.empty()) return problem;
  try {
    problem = verify(file, part);
  } catch (const Error& error) {
    return error.what();
  }
  return problem.empty() ? sync(part) : problem;
}

// A name of its own for each attempt: two programs may download at once, and the last rename wins.
std::string attempt_name(const std::string& path, const char* kind) {
  static std::atomic<int> attempts{0};
  return fmt::format("{}.{}.{}.{}", path, ::getpid(), attempts++, kind);
}

// Gets a file from the first address that has it, whole and right, and hands its path to `keep`, which says why it
// cannot be kept, if so. Whatever `keep` leaves there is removed.
template <class Remote>
void fetch_first(const Remote& file, const std::string& folder, const char* seconds,
                 const std::function<std::string(const std::string& part)>& keep) {
  FileSystem& files = file_system();
  files.create_folders(folder);
  std::string problems;
  for (const std::string& url : file.urls) {
    const std::string part = attempt_name(folder + "/" + file.name, "part");
    std::string problem;
    try {
      problem = fetch(file, url, part, seconds);
      if (problem.empty()) problem = keep(part);
    } catch (...) {
      files.remove(part);
      throw;
    }
    files.remove(part);
    if (problem.empty()) return;
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", url, problem);
  }
  throw IoError(fmt::format("download: {} was not downloaded ({})", file.name, problems));
}

// A folder that is gone at the end of the scope.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& path) : path_(path) { file_system().create_folders(path); }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Puts the wanted files of an archive into a folder; returns why it cannot, empty when it can.
std::string unpack(const RemoteArchive& archive, const std::string& path, const std::string& folder) {
  const ScratchFolder scratch(attempt_name(folder + "/" + archive.name, "unpack"));
  std::vector<std::string> command{"tar",         "--extract",    "--gzip", "--no-same-owner", "--file", path,
                                   "--directory", scratch.path(), "--"};
  for (const std::string& name : archive.files) command.push_back(archive.inside + "/" + name);
  std::string problem = run(std::move(command));
  for (const std::string& name : archive.files) {
    if (problem.empty()) problem = sync(scratch / archive.inside + "/" + name);
  }
  if (!problem.empty()) return problem;
  FileSystem& files = file_system();
  for (const std::string& name : archive.files) {
    files.rename(scratch / archive.inside + "/" + name, folder + "/" + name);
  }
  files.sync_folder(folder);
  return "";
}

}  // namespace

std::string download(const RemoteFile& file, const std::string& folder) {
  const std::string path = folder + "/" + file.name;
  fetch_first(file, folder, "600", [&](const std::string& part) {
    file_system().rename(part, path);
    file_system().sync_folder(folder);
    return std::string();
  });
  return path;
}

void download(const RemoteArchive& archive, const std::string& folder) {
  fetch_first(archive, folder, "7200", [&](const std::string& part) { return unpack(archive, part, folder); });
}

}  // namespace dnn::detail
