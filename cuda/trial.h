// What choosing among the plans of a library takes: how many to try, operands to try them on, a clock, and what became
// of NaN.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cuda/context.h"
#include "cuda/stopwatch.h"
#include "dnn/tensor.h"

namespace dnn::cuda {

// How many plans the environment variable lets `where` try, `usual` when it is not set. Throws ArgumentError unless it
// is a number from 1 on.
int64_t plans_to_try(const char* where, const char* variable, int64_t usual);

// Operands in memory of their own, filled with random numbers: on zeros everything is faster.
class TrialOperands {
 public:
  TrialOperands(Device device, DType type) : device_(device), type_(type) {}
  void* add(int64_t elements);

 private:
  const Device device_;
  const DType type_;
  std::vector<Tensor> tensors_;
};

// Times a plan as it runs in a network, where what it reads has left the cache again.
class TrialClock {
 public:
  // Takes memory twice as large as the L2 cache. Waits for earlier work; throws OutOfMemory.
  explicit TrialClock(Context& context);
  ~TrialClock();
  // Milliseconds of what `run` puts on the stream: the shortest of five runs after a first, which loads the code. The
  // cache is overwritten before each.
  double time(const std::function<void()>& run);

 private:
  Context& context_;
  const int64_t bytes_;
  const Scratch flood_;
  Stopwatch stopwatch_;
};

// What the results of trials hold for: library, GPU, driver and runtime, in words.
std::string trial_origin(const std::string& library, const Context& context, Device device);

// Makes an element in device memory NaN.
void set_nan(Context& context, DType type, void* element);
// Whether it is. Waits.
bool is_nan(Context& context, DType type, const void* element);

}  // namespace dnn::cuda
