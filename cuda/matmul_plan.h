// The seam to cuBLASLt: the plans that the library proposes for a product. cublaslt.cpp implements it; the emulator has
// a stand-in in plain loops (tests/simt/matmul.cpp).
#pragma once

#include <memory>
#include <string>

#include "cuda/matmul_problem.h"
#include "dnn/device.h"

namespace dnn::cuda {

class Context;
class TrialClock;

// Plans are numbered from 0 in the order in which the library expects them to be fast.
class MatmulPlans {
 public:
  virtual ~MatmulPlans() = default;

  virtual int64_t count() const = 0;
  // "algo66_tile20_stages36_...": the algorithm with all of its settings.
  virtual std::string name(int64_t plan) const = 0;
  // Whether a plan may turn out at its first run not to do what it was proposed for.
  virtual bool to_be_tried() const = 0;
  // Enqueues the product on the context's stream; the pointers are aligned as the problem says. From any thread. Throws
  // BackendError.
  virtual void run(int64_t plan, Context& context, const MatmulPointers& pointers) const = 0;
  // Milliseconds that a plan runs. Waits; throws BackendError.
  virtual double time(int64_t plan, Context& context, const MatmulPointers& pointers, TrialClock& clock) const = 0;
};

// At most so many plans for the problem, of which no size is 0 or beyond 32 bits; none when the library cannot.
std::unique_ptr<MatmulPlans> matmul_plans(Device device, const MatmulProblem& problem, int64_t most);

// The library and its version: "cublaslt 13.1.0".
std::string matmul_library();

// Makes what cuBLASLt is told of a problem; throws BackendError when it does not take it. Needs the library but no GPU.
void check_matmul_descriptors(const MatmulProblem& problem);

}  // namespace dnn::cuda
