// The inside of the profiler: what a call of a kernel, a recorded operation and a backward step tell it.
//
// A profiler that runs is found through a pointer of its thread; a counter of all that run comes before that, so that
// the usual case, nobody profiles, is one load. What they collect and the reports stand in profile.cpp and
// profile_report.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "dnn/profile.h"
#include "dnn/tensor.h"

namespace dnn::detail {

// What observes operations now, on any thread: profilers that run, and recorders of captured steps (core/capture.h).
inline constinit std::atomic<int> observers{0};
inline bool may_observe() { return observers.load(std::memory_order_relaxed) != 0; }

// What a kernel does beyond reading or writing each of its tensors once.
struct Work {
  int64_t flops = 0;
  int64_t bytes = 0;
};

// The least bytes that a kernel moves for this tensor: repeated elements count once.
int64_t traffic_of(const Tensor& t);

// One call of a kernel, to be made only when `may_observe()`. It counts when its thread has a profiler, when it has
// tensors or work, when it is not part of another kernel, and when it neither throws nor refuses.
class ProfiledCall {
 public:
  ProfiledCall(const char* name, Device device);
  ~ProfiledCall();
  ProfiledCall(const ProfiledCall&) = delete;
  ProfiledCall& operator=(const ProfiledCall&) = delete;

  explicit operator bool() const { return profile_ != nullptr; }
  void add(const Tensor& t);
  void add(const std::vector<Tensor>& list) {
    for (const Tensor& t : list) add(t);
  }
  void add(const Shape& shape);
  void add(const Work& work);
  // Arguments that hold tensors say so; all others say nothing.
  template <class T>
  void add(const T& argument) {
    if constexpr (requires { argument.each_tensor([](const Tensor&) {}); })
      argument.each_tensor([this](const Tensor& t) { add(t); });
  }
  // Starts the clock.
  void begin();
  // Stops it and keeps the call.
  void finish();

 private:
  Profile* profile_;
  bool started_ = false;
};

// A copy of a whole tensor that no kernel makes.
template <class Copy>
void profile_copy(const char* name, Device device, const Tensor& source, Copy&& copy) {
  if (!may_observe()) return copy();
  ProfiledCall call(name, device);
  if (call) {
    call.add(source);
    call.add(Work{.bytes = traffic_of(source)});
    call.begin();
  }
  copy();
  call.finish();
}

// The place of an operation that is being recorded: the profile and the part that runs. 0 for none.
uint64_t profiled_place() noexcept;

// One step of a backward pass, of an operation that was recorded at that place.
class ProfiledBackward {
 public:
  ProfiledBackward(const char* name, uint64_t place) {
    if (may_observe()) open(name, place);
  }
  ~ProfiledBackward() {
    if (run_ != 0) close();
  }
  ProfiledBackward(const ProfiledBackward&) = delete;
  ProfiledBackward& operator=(const ProfiledBackward&) = delete;

 private:
  void open(const char* name, uint64_t place);
  void close();

  uint64_t run_ = 0;
  size_t span_ = 0;
  uint32_t before_ = 0;
  bool backward_before_ = false;
};

}  // namespace dnn::detail
