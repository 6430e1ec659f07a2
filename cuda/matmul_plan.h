// The seam below the matrix products: a plan for a problem, and running it. Implemented by cuBLASLt (cublaslt.cpp), and
// by plain loops for the emulator (tests/simt/matmul.cpp).
#pragma once

#include <memory>

#include "cuda/matmul_problem.h"
#include "dnn/device.h"

namespace dnn::cuda {

class Context;

class MatmulPlan {
 public:
  virtual ~MatmulPlan() = default;
  // Enqueues the product on the context's stream; the pointers are aligned as the problem says. From any thread.
  virtual void run(Context& context, const MatmulPointers& pointers) const = 0;
};

// How to compute the problem on that device; null when the library cannot. No size is 0.
std::shared_ptr<const MatmulPlan> make_matmul_plan(Device device, const MatmulProblem& problem);

// Makes what cuBLASLt is told of a problem; throws BackendError when it does not take it. Needs the library but no GPU.
void check_matmul_descriptors(const MatmulProblem& problem);

}  // namespace dnn::cuda
