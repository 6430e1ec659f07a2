// Reading, merging and writing the files of plans.
//
// dnn plans 1<TAB>cudnn 9.19.0, NVIDIA H100, compute capability 9.0, ...
// 9c56cc51b374c3ba<TAB>0.031488<TAB>8<TAB>eng51_k2=5<TAB>conv2d, forward, bfloat16, x [64, ...
#include "core/plan_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "dnn/cache.h"
#include "dnn/error.h"
#include "dnn/io.h"

namespace dnn {

namespace detail {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view first_words = "dnn plans 1\t";
constexpr std::chrono::seconds idle_time{1};       // of a choice that is not in its file; others may follow
constexpr std::chrono::seconds short_patience{1};  // with other processes that write, where nobody asked for a write

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

// FNV-1a: finds accidents.
uint64_t checksum(std::string_view text) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return sum;
}

struct Entry {
  KnownPlan plan;
  uint64_t age = 0;  // the smaller, the older
  bool written = true;
};
using Entries = std::map<std::string, Entry, std::less<>>;  // by problem

// Whether it can stand between two tabs.
bool is_field(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string line_of(const std::string& problem, const KnownPlan& plan) {
  const std::string text = fmt::format("{:.6f}\t{}\t{}\t{}", plan.milliseconds, plan.tried, plan.name, problem);
  return fmt::format("{:016x}\t{}\n", checksum(text), text);
}

template <class Number>
bool parse(std::string_view text, Number& number, int base = 10) {
  const char* const end = text.data() + text.size();
  std::from_chars_result result{};
  if constexpr (std::is_floating_point_v<Number>) {
    result = std::from_chars(text.data(), end, number);
  } else {
    result = std::from_chars(text.data(), end, number, base);
  }
  return result.ec == std::errc() && result.ptr == end;
}

// Adds what a line says, unless it is damaged.
void read_line(std::string_view line, Entries& entries) {
  std::array<std::string_view, 5> fields;
  std::string_view rest = line;
  for (size_t i = 0; i < fields.size(); ++i) {
    const size_t tab = rest.find('\t');
    if ((tab == std::string_view::npos) != (i + 1 == fields.size())) return;
    fields[i] = rest.substr(0, tab);
    if (!is_field(fields[i])) return;
    rest.remove_prefix(std::min(tab, rest.size() - 1) + 1);
  }
  const auto& [sum, milliseconds, tried, name, problem] = fields;
  uint64_t expected = 0;
  KnownPlan plan{.name = std::string(name)};
  if (!parse(sum, expected, 16) || checksum(line.substr(sum.size() + 1)) != expected) return;
  if (!parse(milliseconds, plan.milliseconds) || !parse(tried, plan.tried)) return;
  if (!(plan.milliseconds >= 0) || !std::isfinite(plan.milliseconds) || plan.tried < 1 || problem.empty()) return;
  entries.insert_or_assign(std::string(problem), Entry{.plan = plan, .age = entries.size()});
}

// What the file of an origin holds; nothing where it is missing, foreign or unreadable.
Entries read_entries(const std::string& path, const std::string& origin) {
  Entries entries;
  std::vector<std::byte> bytes;
  try {
    bytes = read_file(path, most_plan_bytes);
  } catch (const IoError&) {
    return entries;
  }
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // A line that does not end was cut.
  for (bool first = true; !text.empty(); first = false) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (!first) {
      read_line(line, entries);
    } else if (!line.starts_with(first_words) || line.substr(first_words.size()) != origin) {
      break;
    }
  }
  return entries;
}

// Another process has held the lock of a file for longer than a write takes.
class LockIsHeld : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What `call` does, for callers who are told of it by an IoError.
template <class Call>
void with_io_errors(const Call& call) {
  try {
    call();
  } catch (const LockIsHeld& error) {
    throw IoError(error.what());
  }
}

// Holds the lock of a file that several processes write. It lies beside the file, which a write replaces.
class FileLock {
 public:
  FileLock(const std::string& path, Clock::duration patience) {
    // Whoever holds it writes for some milliseconds. One that was removed meanwhile locks nothing.
    for (const auto end = Clock::now() + patience; !take(path, Clock::now() >= end);) ::usleep(pause);
  }
  ~FileLock() { ::close(file_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  static constexpr useconds_t pause = 2000;

  // False when another process holds it, for which the last attempt throws.
  bool take(const std::string& path, bool last) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) fail(path, errno);
    using Status = struct stat;
    Status held{}, there{};
    const bool locked = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
    const int error = locked ? EWOULDBLOCK : errno;
    if (locked && ::fstat(file_, &held) == 0 && ::stat(path.c_str(), &there) == 0 && held.st_ino == there.st_ino &&
        held.st_dev == there.st_dev)
      return true;
    ::close(file_);
    if (last || (error != EWOULDBLOCK && error != EINTR)) fail(path, error);
    return false;
  }
  [[noreturn]] static void fail(const std::string& path, int error) {
    const std::string text = fmt::format("io: cannot lock {} ({})", path, std::generic_category().message(error));
    if (error == EWOULDBLOCK) throw LockIsHeld(text);
    throw IoError(text);
  }
  int file_;
};

// The plans of one file.
class PlanFile {
 public:
  PlanFile(std::string path, std::string origin)
      : path_(std::move(path)), origin_(std::move(origin)), entries_(read_entries(path_, origin_)) {}

  const KnownPlan* find(const std::string& problem) const {
    const auto found = entries_.find(problem);
    return found == entries_.end() ? nullptr : &found->second.plan;
  }
  void put(const std::string& problem, const KnownPlan& plan) {
    entries_.insert_or_assign(problem, Entry{.plan = plan, .written = false});
    unwritten_ = true;
  }
  bool unwritten() const { return unwritten_; }

  void write(Clock::duration patience) {
    file_system().create_folders(std::filesystem::path(path_).parent_path().string());
    const FileLock lock(path_ + ".lock", patience);
    Entries merged = read_entries(path_, origin_);
    const uint64_t newest = merged.size();
    for (const auto& [problem, entry] : entries_) {
      if (entry.written) continue;
      merged.insert_or_assign(problem, Entry{.plan = entry.plan, .age = newest});
    }
    std::vector<const Entries::value_type*> order;
    for (const auto& item : merged) order.push_back(&item);
    std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->second.age < b->second.age; });
    const auto beyond = std::max<std::ptrdiff_t>(0, std::ssize(order) - most_plans);
    write_atomically(path_, [&](OutputFile& file) {
      std::string text = fmt::format("{}{}\n", first_words, origin_);
      std::for_each(order.begin() + beyond, order.end(),
                    [&](auto* item) { text += line_of(item->first, item->second.plan); });
      file.write(std::string_view(text));
    });
    entries_ = std::move(merged);
    unwritten_ = false;
  }

 private:
  const std::string path_;
  const std::string origin_;
  Entries entries_;
  bool unwritten_ = false;
};

struct PlanFiles {
  std::mutex mutex;
  std::map<std::string, PlanFile> by_path;
  Clock::time_point since{};  // when the first of the unwritten choices was made
  bool failed = false;        // the last write; another is made only on request
};
std::atomic<bool> unwritten{false};

PlanFiles& plan_files() {
  static auto* const instance = new PlanFiles;  // written at the end of the program
  return *instance;
}

// "cudnn-9-19-0-nvidia-h100": what a name of a file may hold of an origin.
std::string slug(std::string_view origin) {
  std::string text;
  for (const char c : origin.substr(0, 60)) {
    const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
    if (digit || lower) text += c;
    if (upper) text += static_cast<char>(c - 'A' + 'a');
    if (!digit && !upper && !lower && !text.ends_with('-')) text += '-';
  }
  return text;
}

std::string full_origin(const std::string& origin) {
  std::string text = fmt::format("{}, libdnn {}", origin, DNN_VERSION);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

constexpr size_t digits = 16;
std::string name_of_file(const std::string& origin) {
  return fmt::format("{}-{:0{}x}.txt", slug(origin), checksum(origin), digits);
}

// Whether it is the name of such a file.
bool is_name_of_file(std::string_view name) {
  if (!name.ends_with(".txt")) return false;
  name.remove_suffix(4);
  uint64_t sum = 0;
  return name.size() > digits && name[name.size() - digits - 1] == '-' &&
         parse(name.substr(name.size() - digits), sum, 16);
}

// The file of an origin, null when none are kept; under the lock.
PlanFile* file_of(PlanFiles& files, const std::string& origin) {
  const std::string folder = plan_folder();
  if (folder.empty()) return nullptr;
  const std::string text = full_origin(origin);
  const std::string path = folder + "/" + name_of_file(text);
  const auto found = files.by_path.find(path);
  return found != files.by_path.end() ? &found->second : &files.by_path.try_emplace(path, path, text).first->second;
}

// Writes all that it can; throws what the first of the others threw.
void write_all(PlanFiles& files, Clock::duration patience) {
  std::exception_ptr failure;
  for (auto& [path, file] : files.by_path) {
    try {
      if (file.unwritten()) file.write(patience);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  files.failed = failure != nullptr;
  unwritten = false;  // nobody is to try again at each wait
  if (failure) std::rethrow_exception(failure);
}

void try_write(PlanFiles& files) noexcept {
  unwritten = false;
  if (files.failed) return;
  try {
    write_all(files, short_patience);
  } catch (const LockIsHeld&) {  // again when as much time has gone by
    files.failed = false;
    files.since = Clock::now();
    unwritten = true;
  } catch (...) {
  }
}

}  // namespace

std::optional<KnownPlan> known_plan(const std::string& origin, const std::string& problem) {
  PlanFiles& files = plan_files();
  const std::lock_guard lock(files.mutex);
  const PlanFile* const file = file_of(files, origin);
  const KnownPlan* const plan = file != nullptr ? file->find(problem) : nullptr;
  return plan != nullptr ? std::optional(*plan) : std::nullopt;
}

void keep_plan(const std::string& origin, const std::string& problem, const KnownPlan& plan) {
  if (!is_field(plan.name) || !is_field(problem)) return;
  PlanFiles& files = plan_files();
  const std::lock_guard lock(files.mutex);
  PlanFile* const file = file_of(files, origin);
  if (file == nullptr) return;
  file->put(problem, plan);
  const Clock::time_point now = Clock::now();
  if (!unwritten.exchange(true)) files.since = now;
  static const bool at_exit = std::atexit([] {
                                PlanFiles& left = plan_files();
                                const std::lock_guard lock(left.mutex);
                                if (unwritten) try_write(left);
                              }) == 0;
  if (!at_exit || now - files.since > idle_time) try_write(files);
}

void save_idle_plans() noexcept {
  if (!unwritten.load(std::memory_order_relaxed)) return;
  PlanFiles& files = plan_files();
  const std::unique_lock lock(files.mutex, std::try_to_lock);
  if (lock.owns_lock() && unwritten && Clock::now() - files.since > idle_time) try_write(files);
}

void forget_plan_files() {
  PlanFiles& files = plan_files();
  const std::lock_guard lock(files.mutex);
  files.by_path.clear();
  files.failed = false;
  unwritten = false;
}

}  // namespace detail

std::string cache_folder() {
  if (std::string folder = detail::variable("DNN_CACHE_DIR"); !folder.empty()) return folder;
  if (const std::string cache = detail::variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/dnn";
  if (const std::string home = detail::variable("HOME"); !home.empty()) return home + "/.cache/dnn";
  return "";
}

std::string plan_folder() {
  const std::string folder = detail::variable("DNN_PLAN_CACHE") == "0" ? "" : cache_folder();
  return folder.empty() ? "" : folder + "/plans";
}

void save_plans() {
  detail::PlanFiles& files = detail::plan_files();
  const std::lock_guard lock(files.mutex);
  detail::with_io_errors([&] { detail::write_all(files, detail::lock_patience); });
}

void clear_plans() {
  if (cache_folder().empty()) return;
  const std::string folder = cache_folder() + "/plans";  // also where this program keeps none
  detail::PlanFiles& files = detail::plan_files();
  const std::lock_guard lock(files.mutex);
  std::error_code error;
  std::set<std::string> paths;  // of files that are there, or of which a lock or an interrupted write is left
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    std::string path = file->path().string();
    for (const std::string_view suffix : {".lock", ".tmp"}) {
      if (path.ends_with(suffix)) path.resize(path.size() - suffix.size());
    }
    if (detail::is_name_of_file(path)) paths.insert(path);
  }
  if (error && error != std::errc::no_such_file_or_directory)
    throw IoError(fmt::format("io: cannot list {} ({})", folder, error.message()));
  detail::with_io_errors([&] {
    for (const std::string& path : paths) {
      const detail::FileLock held(path + ".lock", detail::lock_patience);
      for (const char* suffix : {"", ".tmp", ".lock"}) file_system().remove(path + suffix);
    }
  });
  files.by_path.clear();
  files.failed = false;
  detail::unwritten = false;
}

}  // namespace dnn
