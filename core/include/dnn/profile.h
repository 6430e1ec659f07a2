// Where the time goes: every operation that runs, with the layer it runs for, its time, its work and its traffic.
//
//   Profiler profiler;
//   {
//     const auto running = profiler.start();
//     cross_entropy(net(x), labels).backward();
//     optimizer.step();
//   }
//   std::cout << profiler.layer_table() << profiler.operation_table();
//   profiler.chrome_trace("step.json");             // for chrome://tracing or ui.perfetto.dev
//
// An operation is one kernel of the device's: a convolution with bias, ReLU and the addition of a shortcut is one where
// the device has a fused kernel, its gradients are two ("conv2d_backward_data", "conv2d_backward_weight"), and views
// are none. It belongs to the innermost layer that is running, in the backward pass to the one that ran when it was
// recorded; layers that run as one (Sequential) count for the first of them.
//
// On a CPU the clock is the host's. On a GPU events in the device's stream are the clock, so that nothing waits until
// the results are asked for, and layers and operations are NVTX ranges as well, which NVIDIA's tools show. While no
// profiler runs, an operation pays for one look at a counter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dnn/device.h"
#include "dnn/shape.h"

namespace dnn {

namespace detail {
struct Profile;
class RunningLayer;
// Whether a profiler runs on this thread.
bool is_profiling() noexcept;
// Which part of the program is running, "" for none; only while a profiler runs.
std::string profiled_part();
}  // namespace detail

/// One operation that ran.
struct ProfiledOperation {
  std::string name;           ///< Of the kernel: "conv2d_fused", "relu", "sgd_update".
  std::string layer;          ///< The layer by its path, "features.3"; "" outside of layers and ranges.
  bool backward = false;      ///< Whether it ran in a backward pass.
  Device device;              ///< Where it ran.
  double start = 0;           ///< In seconds since the profiler was started first.
  double seconds = 0;         ///< How long it ran.
  int64_t flops = 0;          ///< Multiplications and additions of convolutions, products and recurrent cells, else 0.
  int64_t bytes = 0;          ///< The least traffic: inputs read once, outputs written once.
  std::vector<Shape> shapes;  ///< Of its tensors, inputs and outputs.
};

/// What some operations came to.
struct ProfileTotal {
  int64_t calls = 0;   ///< Operations.
  double seconds = 0;  ///< Their time.
  int64_t flops = 0;   ///< Their multiplications and additions.
  int64_t bytes = 0;   ///< Their least traffic.

  /// FLOP a second; 0 without time.
  double flops_per_second() const { return seconds > 0 ? static_cast<double>(flops) / seconds : 0; }
  /// Bytes a second; 0 without time.
  double bytes_per_second() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
  /// Adds others to them.
  ProfileTotal& operator+=(const ProfileTotal& other);
};

/// A line of a table: a layer, or an operation by its name.
struct ProfileRow {
  std::string name;       ///< The path of the layer, or the name of the operation.
  ProfileTotal forward;   ///< Outside of backward passes.
  ProfileTotal backward;  ///< In backward passes.

  /// Both together.
  ProfileTotal total() const { return ProfileTotal(forward) += backward; }
};

/// Collects the operations of the thread that started it, for as long as it runs.
class Profiler {
 public:
  /// Ends a run of the profiler when it goes, also when an exception passes; it must go on the thread it was made on.
  class Running {
   public:
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    friend class Profiler;
    explicit Running(std::shared_ptr<detail::Profile> profile);
    std::shared_ptr<detail::Profile> profile_;
  };

  Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// Begins to collect; what an earlier run collected stays. Throws ArgumentError while a profiler runs on this thread,
  /// or this one on another.
  [[nodiscard]] Running start();
  /// Whether it is collecting.
  bool running() const;
  /// Forgets what was collected. Throws ArgumentError while it runs.
  void clear();

  /// What ran, in order. This and what follows throw ArgumentError while the profiler runs; where a GPU was used, the
  /// first of them waits for it, and throws what waiting for it throws.
  const std::vector<ProfiledOperation>& operations() const;
  /// Seconds for which it ran, with the time between operations.
  double seconds() const;
  /// The operations by layer, in the order in which the layers were first seen.
  std::vector<ProfileRow> by_layer() const;
  /// The operations by name, in the order in which they were first seen.
  std::vector<ProfileRow> by_operation() const;

  /// `by_layer` as text: time, share of the time of all operations, GFLOP/s and GB/s, forward and backward. Times and
  /// calls are those of one of `steps` equal steps. Throws ArgumentError unless `steps` is positive.
  std::string layer_table(int64_t steps = 1) const;
  /// `by_operation` as text, the longest first.
  std::string operation_table(int64_t steps = 1) const;
  /// Writes the operations, and the layers and backward steps around them, as a trace in Chrome's format (JSON), whole
  /// or not at all. Throws IoError.
  void chrome_trace(const std::string& path) const;

 private:
  const detail::Profile& finished(const char* where) const;
  std::shared_ptr<detail::Profile> profile_;
};

/// Names a part of a program for the profiler of this thread: what runs while it lives belongs to "outer.inner", and
/// layers called inside of it have that name before theirs. It costs next to nothing while no profiler runs.
class ProfileRange {
 public:
  /// Opens the part, inside of the one that is open.
  explicit ProfileRange(std::string_view name);
  ~ProfileRange() {
    if (run_ != 0) close();
  }
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;

 private:
  friend class detail::RunningLayer;
  ProfileRange() = default;
  void open(const std::string& part);
  void close();

  uint64_t run_ = 0;     // the run of a profiler in which it was opened, 0 for none
  size_t span_ = 0;      // where it stands in the trace
  uint32_t before_ = 0;  // the part around it
};

}  // namespace dnn
