// Downloading with the curl command: into a .part file, which gets its name when its checksum has been found right.
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

// Runs a program found on PATH, without a shell; returns why it failed, empty when it did not.
std::string run(std::vector<std::string> arguments) {
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
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
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
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
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

// Downloads one address to a path; returns why it failed, empty when it did not.
std::string fetch(const RemoteFile& file, const std::string& url, const std::string& part) {
  std::string problem = run({"curl", "--fail", "--silent", "--show-error", "--location", "--proto", "=https",
                             "--connect-timeout", "10", "--max-time", "600", "--output", part, "--url", url});
  if (!problem.empty()) return problem;
  try {
    problem = verify(file, part);
  } catch (const Error& error) {
    return error.what();
  }
  return problem.empty() ? sync(part) : problem;
}

}  // namespace

std::string cache_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/dnn";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/dnn";
  return "";
}

std::string download(const RemoteFile& file, const std::string& folder) {
  // A name of its own for each attempt: two programs may download at once, and the last rename wins.
  static std::atomic<int> attempts{0};
  FileSystem& files = file_system();
  files.create_folders(folder);
  const std::string path = folder + "/" + file.name;
  std::string problems;
  for (const std::string& url : file.urls) {
    const std::string part = fmt::format("{}.{}.{}.part", path, ::getpid(), attempts++);
    try {
      const std::string problem = fetch(file, url, part);
      if (problem.empty()) {
        files.rename(part, path);
        files.sync_folder(folder);
        return path;
      }
      problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", url, problem);
    } catch (...) {
      files.remove(part);
      throw;
    }
    files.remove(part);
  }
  throw IoError(fmt::format("download: {} was not downloaded ({})", file.name, problems));
}

}  // namespace dnn::detail
