// A step recorded as a CUDA graph.
//
// A Recording is what its context knows while the work of a step goes into a graph; afterwards it belongs to the
// StepGraph. Numbers that differ from one launch to the next (learning rates, the streams of random numbers) lie in
// blocks of device memory: a launcher hands its kernel `varying(context, ...)`, which in a recording is a place in such
// a block. Core calls the closures that compute them anew, in the order of the step; the next launch brings blocks with
// other bytes than before to the device, as arguments of one small kernel, so that no buffer is shared with the device.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/capture.h"
#include "cuda/context.h"

namespace dnn::cuda {

// The bytes of a block of varying numbers, small enough to be a kernel's argument.
struct VaryingBytes {
  static constexpr int64_t size = 1024;
  alignas(16) std::array<std::byte, size> bytes{};
};

// Brings the first n bytes to the device.
void set_varying(Context& context, void* to, const VaryingBytes& values, int64_t n);

class Recording {
 public:
  Recording(Context& context, Allocator::Pool* pool) : context_(context), pool_(pool) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // Tells recordings apart, for what is kept of one alone; from 1 on.
  uint64_t number() const { return number_; }
  bool is_of_this_thread() const { return thread_ == std::this_thread::get_id(); }
  Allocator::Pool* pool() const { return pool_; }

  // A place in device memory for `bytes` bytes (16 at a time), at most VaryingBytes::size. `make` writes them, now and
  // before each launch.
  const void* varying(int64_t bytes, std::function<void(void* to)> make);
  // A copy in device memory of bytes that stay.
  const void* constant(std::span<const std::byte> bytes);
  // Keeps memory that the graph reads.
  void keep(std::shared_ptr<void> memory) { kept_.push_back(std::move(memory)); }
  void add_check(LabelFault* slot) { checks_.push_back(slot); }

  // What must reach the device before a launch.
  void prepare();

 private:
  struct Block {
    void* data = nullptr;
    int64_t used = 0;
    VaryingBytes values, sent;
    bool was_sent = false;
  };
  struct Constant {
    void* data = nullptr;
    std::vector<std::byte> bytes;
  };
  void* take(int64_t bytes);

  Context& context_;
  Allocator::Pool* const pool_;
  static uint64_t next_number();
  const uint64_t number_ = next_number();
  const std::thread::id thread_ = std::this_thread::get_id();
  std::vector<std::unique_ptr<Block>> blocks_;  // their addresses stay, closures know them
  std::vector<Constant> constants_;             // that are not on the device yet
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<LabelFault*> checks_;
};

class StepGraph {
 public:
  StepGraph(Context& context, std::unique_ptr<Recording> recording, cudaGraphExec_t exec, int64_t nodes)
      : context_(context), recording_(std::move(recording)), exec_(exec), nodes_(nodes) {}
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  void launch();
  int64_t nodes() const { return nodes_; }

 private:
  Context& context_;
  std::unique_ptr<Recording> recording_;
  cudaGraphExec_t exec_;
  int64_t nodes_;
};

// Why steps cannot be recorded now; empty when they can.
std::string why_no_capture(int index);
// Records all that this thread gives to the GPU from now on.
void begin_capture(int index, Allocator::Pool* pool);
// The graph of it. Throws BackendError; nothing is recorded any more then, either.
std::unique_ptr<StepGraph> end_capture(int index);
void abandon_capture(int index) noexcept;

// A kernel's parameter that may be another one at each launch of a graph.
template <class T>
struct Varying {
  T value;
  const T* place = nullptr;  // in device memory, of a recorded step
  __device__ T operator()() const { return place == nullptr ? value : *place; }
};

// What `make()` returns, which in a step that is recorded is asked again before each launch if it `changes`.
template <class Make>
auto varying(Context& context, bool changes, Make make) -> Varying<decltype(make())> {
  using T = decltype(make());
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= VaryingBytes::size && alignof(T) <= 16);
  Recording* const step = context.recording();
  if (step == nullptr || !changes) return {make()};
  const auto write = [make](void* to) {
    T value = make();
    detail::clear_padding(value);  // the same bytes are not sent again
    std::memcpy(to, &value, sizeof value);
  };
  return {make(), static_cast<const T*>(step->varying(sizeof(T), write))};
}

}  // namespace dnn::cuda
