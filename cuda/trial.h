// What choosing among the plans of a library takes: how many to try, operands to try them on, and what became of NaN.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/context.h"
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

// Makes an element in device memory NaN.
void set_nan(Context& context, DType type, void* element);
// Whether it is. Waits.
bool is_nan(Context& context, DType type, const void* element);

}  // namespace dnn::cuda
