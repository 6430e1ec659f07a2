// The inside of captured steps: what is seen of a call while it runs, and what must be so for it to be repeated.
//
// A Recorder watches one call of a captured step on its thread. Every call of a kernel passes it (core/slot.h), and
// becomes an entry of the trace: name, shapes and numbers, and of each tensor that was there before the call, which
// one. Two calls with equal traces gave the device the same work. While the device records, it also keeps what a
// repetition needs: tensors of before the call with the addresses that went into the graph, the gradients' states,
// versions that grow, and what the host did, as closures in order. A graph is launched only while all of that still
// holds. Keeping what the device remembers on the side (a packed weight, a copy in 16 bits) out of a graph, or watched,
// is up to whoever remembers it: `is_recording`, `repeat_while`.
//
// Whether anything watches is one load, as for the profiler.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/profile.h"
#include "core/storage.h"
#include "dnn/capture.h"
#include "dnn/device.h"
#include "dnn/random.h"
#include "dnn/tensor.h"

namespace dnn::detail {

class Recorder;

// What watches the calls of this thread, null when nothing does.
extern constinit thread_local Recorder* current_recorder;
inline Recorder* recorder() { return may_observe() ? current_recorder : nullptr; }

// The streams of random numbers of one operation; `again` is where the next repetition of a captured step finds its
// own.
struct Draw {
  uint64_t seed = 0;
  uint64_t stream = 0;
  std::shared_ptr<const Draw> again = nullptr;
};
// The next ones of the default generator.
Draw next_draw();
// Those that a generator would give next, which stays as it is and which the captured step keeps.
Draw draw_at(const std::shared_ptr<const Generator>& generator);

// A number of the host that each repetition of a captured step asks for anew.
struct HostNumber {
  std::function<int64_t()> ask;
  int64_t operator()() const { return ask(); }
};

// Registers what must be computed before each repetition of the step that is being recorded, without doing it now.
void repeat_later(std::function<void()> effect);

// Gives equal values equal bytes, where the compiler can; elsewhere they may seem different.
template <class T>
void clear_padding(T& value) {
#if defined(__GNUC__) && !defined(__clang__)
  __builtin_clear_padding(&value);
#endif
}

// A number for what a call of a kernel was given.
class TraceHash {
 public:
  explicit TraceHash(Recorder& recorder) : recorder_(recorder) {}
  uint64_t value() const { return value_; }

  void add(const Tensor& t);
  void add(const std::vector<Tensor>& list) {
    add(list.size());
    for (const Tensor& t : list) add(t);
  }
  void add(const Shape& shape) {
    add(shape.rank());
    for (const int64_t size : shape) add(size);
  }
  void add(const Draw&) {}
  void add(const HostNumber&) {}
  // Pointers say nothing; a struct that is more than bytes names its tensors and numbers.
  template <class T>
  void add(const T& value) {
    if constexpr (std::is_pointer_v<T>) {
      return;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      bytes(&value, sizeof value);
    } else if constexpr (requires { value.each_number([](const auto&) {}); }) {
      value.each_number([this](const auto& number) { add(number); });
      tensors_of(value);
    } else if constexpr (std::is_trivially_copyable_v<T>) {
      T copy = value;
      clear_padding(copy);
      bytes(&copy, sizeof copy);
    } else {
      static_assert(
          requires { value.each_tensor([](const Tensor&) {}); },
          "an argument of a kernel has each_number or each_tensor, or is trivially copyable");
      tensors_of(value);
    }
  }

 private:
  template <class T>
  void tensors_of(const T& value) {
    if constexpr (requires { value.each_tensor([](const Tensor&) {}); })
      value.each_tensor([this](const Tensor& t) { add(t); });
  }
  void bytes(const void* data, size_t size);

  Recorder& recorder_;
  uint64_t value_ = 0xcbf29ce484222325u;
};

// One call of a kernel, or of a copy without one.
struct TraceEntry {
  const char* name;
  uint64_t hash;
  friend bool operator==(const TraceEntry& a, const TraceEntry& b) {
    return a.hash == b.hash && std::strcmp(a.name, b.name) == 0;
  }
};

class Recorder {
 public:
  // Watches a call whose inputs are these, until it is destroyed. With `device` that records, what a repetition needs
  // is kept too.
  Recorder(const std::vector<Tensor>& inputs, Device device, bool recording, bool required);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // For the places in core that the call passes.
  void operation(const char* name, Device device, uint64_t hash);
  void uses(const std::shared_ptr<Storage>& storage);
  void writes(const Storage& storage);                           // a version grows
  void moves(const Storage& storage);                            // its elements get another address
  void reads_gradient(const std::shared_ptr<TensorImpl>& leaf);  // or changes its state
  void draws() { ++draws_; }
  // What cannot be repeated: throws, or brings what is recorded so far to the device and goes on as an ordinary call.
  void interrupt(const char* what);
  // A kernel's own calls of kernels are part of it.
  bool enter() { return !std::exchange(inside_, true); }
  void leave() { inside_ = false; }

  void repeat_later(std::function<void()> effect, std::function<void()> undo = {}) {
    effects_.push_back({std::move(effect), std::move(undo)});
  }
  void repeat_while(const char* what, std::function<bool()> holds) { conditions_.push_back({what, std::move(holds)}); }

  // The place of an input, and where in its storage it begins; -1 for any other storage.
  int64_t input_of(const Storage& storage) const;
  int64_t input_offset(int64_t input) const { return inputs_[static_cast<size_t>(input)].offset; }
  bool is_from_before(uint64_t serial) const { return serial < first_serial_; }
  bool is_from_before(const Storage& storage) const { return is_from_before(storage.serial); }

  bool is_recording() const { return recording_; }
  const std::vector<TraceEntry>& trace() const { return trace_; }
  // After the call: why it cannot be repeated, empty when it can.
  std::string obstacle();
  // Abandons the recording and takes back what it did to the host; false when there was such, or it ended before.
  bool undo();
  // Ends the recording, for the graph that the device then makes.
  struct Requirements;
  std::unique_ptr<Requirements> take_requirements();

 private:
  struct External {
    std::weak_ptr<Storage> owner;
    const Storage* storage;
    const void* data;
    uint64_t departures;
  };
  struct Leaf {
    std::weak_ptr<TensorImpl> owner;
    TensorImpl* leaf;
    bool had_grad, was_zeroed;
    bool has_grad = false, is_zeroed = false;
  };
  struct Condition {
    const char* what;
    std::function<bool()> holds;
  };
  // What a repetition does to the host: something, or the version of a storage grows.
  struct Effect {
    std::function<void()> run;
    std::function<void()> undo = {};
    Storage* written = nullptr;
  };
  Recorder* const outer_;
  const Device device_;
  bool recording_;
  const bool required_;
  bool inside_ = false;
  struct Input {
    const Storage* storage;
    int64_t offset;
  };
  std::vector<Input> inputs_;
  const uint64_t first_serial_;
  const uint64_t seed_, offset_;  // of the default generator before
  const int64_t waits_;
  uint64_t draws_ = 0;
  std::string obstacle_;
  std::vector<TraceEntry> trace_;
  std::vector<External> externals_;
  std::vector<std::shared_ptr<Storage>> kept_;  // until the graph has been launched, though the step lets go of them
  std::vector<Leaf> leaves_;
  std::vector<Condition> conditions_;
  std::vector<Effect> effects_;  // in the order of the step: one may remember a version
};

// What must hold for a graph to be launched, and what its launch does to the host.
struct Recorder::Requirements {
  std::vector<External> externals;
  std::vector<Leaf> leaves;
  std::vector<Condition> conditions;
  std::vector<Effect> effects;  // on the versions of externals alone

  std::string what_changed() const;  // empty: nothing
  void repeat_effects();
};

// One call that is seen: null when nobody watches, or when it is part of another one.
class RecordedCall {
 public:
  RecordedCall() : recorder_(recorder()) {
    if (recorder_ != nullptr && !recorder_->enter()) recorder_ = nullptr;
  }
  ~RecordedCall() {
    if (recorder_ != nullptr) recorder_->leave();
  }
  RecordedCall(const RecordedCall&) = delete;
  RecordedCall& operator=(const RecordedCall&) = delete;
  explicit operator bool() const { return recorder_ != nullptr; }
  Recorder& operator*() const { return *recorder_; }
  Recorder* operator->() const { return recorder_; }

 private:
  Recorder* recorder_;
};

// A copy that core makes without a kernel which sees the tensor.
inline void record_copy(const char* name, const Tensor& source) {
  if (const RecordedCall call; call) {
    TraceHash hash(*call);
    hash.add(source);
    call->operation(name, source.device(), hash.value());
  }
}

}  // namespace dnn::detail
