// Which plan computes a product.
//
// The library proposes plans, DNN_MATMUL_CANDIDATES of them, 1 to 16 (the default), which are timed on random data in
// memory of their own; with 1 the first is taken as it is. cuBLASLt does not say whether its activations keep NaN, as
// ours do: a plan with one is tried with a NaN among the factors, and one that loses it is not used.
//
// What was found is kept in a file (core/plan_file.h), so that a later process neither times nor waits.
#pragma once

#include <memory>

#include "cuda/matmul_plan.h"

namespace dnn::cuda {

class MatmulPlan {
 public:
  MatmulPlan(std::unique_ptr<const MatmulPlans> plans, int64_t chosen) : plans_(std::move(plans)), chosen_(chosen) {}
  // Enqueues the product on the context's stream; the pointers are aligned as the problem says. From any thread.
  void run(Context& context, const MatmulPointers& pointers) const { plans_->run(chosen_, context, pointers); }

 private:
  const std::unique_ptr<const MatmulPlans> plans_;
  const int64_t chosen_;
};

// How to compute the problem on that device; null when the library cannot. No size is 0.
std::shared_ptr<const MatmulPlan> make_matmul_plan(Device device, const MatmulProblem& problem);

}  // namespace dnn::cuda
