// What a profiler has collected, shared by the collecting (profile.cpp) and the reports (profile_report.cpp).
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/profile.h"

namespace dnn::detail {

// A place in the work of a GPU.
class Mark {
 public:
  Mark() = default;
  explicit Mark(Device device);  // throws BackendError
  ~Mark();
  Mark(Mark&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), device_(other.device_) {}
  Mark& operator=(Mark&& other) noexcept {
    std::swap(handle_, other.handle_), std::swap(device_, other.device_);
    return *this;
  }
  explicit operator bool() const { return handle_ != nullptr; }
  // Seconds from this place to a later one; both have been reached.
  double until(const Mark& later) const;

 private:
  void* handle_ = nullptr;
  Device device_;
};

struct ProfiledEvent {
  const char* name = "";
  uint32_t part = 0;
  bool backward = false;
  Device device;
  double start = 0, seconds = 0;  // on a GPU when the marks have been read
  Mark from = {}, to = {};
  int64_t flops = 0, bytes = 0;
  std::vector<Shape> shapes = {};
};

// A part, or a step of a backward pass, on the host's clock.
struct ProfiledSpan {
  const char* operation = nullptr;  // of a backward step, else null
  uint32_t part = 0;
  double start = 0, end = -1;  // -1 while it is open
};

struct Profile {
  using Clock = std::chrono::steady_clock;

  uint32_t id = next_id();       // so that a graph recorded under another profile is not taken for one of this
  std::atomic<uint64_t> run{0};  // the number of the run; 0 while it does not run
  uint32_t part = 0;
  bool backward = false;
  bool in_call = false;
  ProfiledEvent call;  // the one that runs, while in_call

  bool has_begun = false;
  Clock::time_point begun{};
  double run_start = 0, seconds = 0;
  std::vector<std::string> parts{""};
  std::unordered_map<std::string, uint32_t> part_numbers{{"", 0}};
  std::vector<ProfiledEvent> events;
  std::vector<ProfiledSpan> spans;
  size_t first_span = 0;                      // of the run
  std::map<int, Mark> gpu_origins;            // a first mark for every GPU, from which all others are counted
  std::vector<ProfiledOperation> operations;  // of the events

  static uint32_t next_id();
  double now() const { return std::chrono::duration<double>(Clock::now() - begun).count(); }
  uint32_t number_of(const std::string& name);
  // Fills in the times of GPUs and lists the operations that are not listed yet.
  void complete();
};

}  // namespace dnn::detail
