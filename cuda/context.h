// One context per GPU: its stream, its memory, its way to and from the host, and the errors that kernels find.
//
// A context is made on first use and never destroyed, since tensors in static storage may outlive everything else. All
// work goes to the context's own stream, except for uploads of whole tensors, which overlap with it on a stream of
// copies; events keep both in order. The host waits in two places only, `wait` and `to_host`, and in an upload when it
// is several batches ahead of the device; all are counted.
//
// Kernels that find a bad label write it into a slot of the status block in device memory; the next wait copies the
// block along, and throws the first of the errors.
//
// While a step is recorded (graph.h), what goes to the stream becomes the step's graph. Copies from and to the host and
// waits cannot be part of one and say so to core, which decides; other threads wait at their next operation.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cuda/allocator.h"
#include "cuda/staging.h"

namespace dnn {
class Tensor;
}

namespace dnn::cuda {

// How many blocks of how many threads run a kernel.
struct Grid {
  unsigned blocks = 1;
  unsigned threads = 256;
};

// A slot of the status block: position and value of the first bad label or index of a launch, packed so that the
// smallest position is the smallest number (fault.cuh); all ones when there is none.
using LabelFault = unsigned long long;

class Recording;

class Context {
 public:
  // The context of a usable device, which becomes the calling thread's current one. Throws BackendError.
  static Context& of(int index);
  static Context& of(const Tensor& tensor);
  // The same without a look at the GPU, null when it has not been made: for what must never throw.
  static Context* existing(int index) noexcept;
  // The context of the calling thread's current device.
  static Context& current();

  int index() const { return index_; }
  cudaStream_t stream() const { return stream_; }
  Allocator& memory() { return memory_; }

  // Blocks of `threads` threads for `items` pieces of work, a few waves at most: kernels stride over the rest.
  Grid grid(int64_t items, int threads = 256) const;
  int multiprocessors() const { return multiprocessors_; }

  // Memory with those bytes of the host in it; from `upload_bytes` on they arrive while earlier work still computes.
  void* upload(const void* from, int64_t bytes);
  void to_device(void* to, const void* from, int64_t bytes);
  void to_host(void* to, const void* from, int64_t bytes);  // waits; throws IndexError for a label or index found bad
  void copy(void* to, const void* from, int64_t bytes);     // within the device
  void copy_from(Context& source, void* to, const void* from, int64_t bytes);  // from another GPU
  void wait();  // until all work is done; throws IndexError for a label or index found bad
  void release_cached();

  // Called by `launch` after each launch.
  void launched(const void* kernel, cudaError_t error);
  // The same after a function of a library has put work on the stream.
  void called(const char* function);

  // Slot for a launch that checks labels of that many classes, or an operation's indices below that.
  LabelFault* label_fault(int64_t classes, const char* where = "cross_entropy", const char* noun = "label");

  // Counters for kernels whose last block does more than the others (last_block.cuh): zero between launches.
  unsigned* tickets() const { return tickets_; }
  static constexpr int64_t ticket_count = 1024;

  // A copy in device memory of a table that rarely changes; the same bytes give the same copy without a new upload.
  const void* table(std::span<const std::byte> bytes);

  // The step that this thread records, null when it records none.
  Recording* recording() const;
  void begin_recording(std::unique_ptr<Recording> recording);  // throws BackendError
  // Takes it back, with its graph or a failure; nothing is recorded from then on.
  std::unique_ptr<Recording> end_recording(cudaGraph_t& graph, cudaError_t& error) noexcept;

  // A slot of the status block that a step's kernels write is kept for them until it is released, and given anew before
  // each launch of their graph.
  void repeat_check(LabelFault* slot);
  void release_check(LabelFault* slot) noexcept;

  struct Counters {
    int64_t launches = 0;
    int64_t waits = 0;
  };
  Counters counters() const { return {launches_, waits_}; }
  // The size from which an upload takes the stream of copies.
  static constexpr int64_t upload_bytes = int64_t{1} << 16;
  // Wait after each launch, so that an error names its kernel; DNN_SYNC_LAUNCH=1 sets it from the start.
  void set_sync_launch(bool sync) { sync_launch_ = sync; }
  bool waits_after_launches() const { return sync_launch_; }

 private:
  explicit Context(int index);

  struct LabelCheck {
    int64_t classes = 0;
    uint64_t number = 0;
    const char* where = "";
    const char* noun = "";
    int graphs = 0;  // that write it
  };
  struct Table {
    std::vector<std::byte> bytes;
    std::shared_ptr<void> data;
  };
  static constexpr size_t status_slots = 64;
  static constexpr size_t status_bytes = status_slots * sizeof(LabelFault);
  static constexpr size_t table_limit = 16;

  // Tells core that what comes now cannot be recorded, if anything is.
  void refuse(const char* what) const;
  void await_recording();

  // Asks for the status block; returns the number of checks that it will tell of.
  uint64_t fetch_status();
  // Throws for the first fault among that many checks, whose block has arrived. Other threads may wait at the same
  // time.
  void check_status(uint64_t fetched);

  const int index_;
  cudaStream_t stream_ = nullptr;
  cudaStream_t copy_stream_ = nullptr;
  cudaEvent_t peer_event_ = nullptr;
  int multiprocessors_ = 1;
  Allocator memory_;
  Staging staging_;
  std::atomic<int64_t> launches_{0};
  std::atomic<int64_t> waits_{0};
  std::atomic<bool> sync_launch_{false};

  std::atomic<Recording*> recording_{nullptr};
  std::mutex recording_mutex_;
  std::condition_variable recorded_;

  std::mutex upload_mutex_;
  cudaEvent_t uploaded_ = nullptr;

  std::mutex status_mutex_;
  LabelFault* status_ = nullptr;       // in device memory
  LabelFault* status_host_ = nullptr;  // pinned
  unsigned* tickets_ = nullptr;        // behind the status block
  std::array<LabelCheck, status_slots> label_checks_;
  uint64_t checks_given_ = 0;  // slots handed out so far,
  uint64_t checks_done_ = 0;   // of which this many are known to be good or were reported

  std::mutex table_mutex_;
  std::list<Table> tables_;  // most recently used first
};

// Device memory for the time of a launch.
class Scratch {
 public:
  Scratch(Context& context, int64_t bytes) : context_(context), data_(context.memory().allocate(bytes)) {}
  ~Scratch() { context_.memory().release(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Context& context_;
  void* data_;
};

}  // namespace dnn::cuda
