// How a reduction over any dimensions is brought to [outer, n, inner] -> [outer, inner]: dimensions that are neighbours
// are merged, others are first moved to the end.
#pragma once

#include <array>

#include "core/check.h"
#include "core/kernels/reduce.h"
#include "core/node.h"
#include "dnn/ops/reduce.h"

namespace dnn::detail {

// What is to be reduced and what comes out.
struct ReductionPlan {
  std::array<bool, Shape::max_rank> reduced{};
  Shape kept;                 // with size 1 for reduced dimensions
  Shape result;               // kept, or without them
  kernel::ReduceShape sizes;  // of `arranged(x)`
  bool neighbours = true;
};

// Throws IndexError for a dimension out of range or named twice.
ReductionPlan plan_reduction(const char* where, const Tensor& x, const Shape& dims, bool keepdim);

// x as the kernel wants it: contiguous, plain, reduced dimensions side by side.
Tensor arranged(const Tensor& x, const ReductionPlan& plan);

// A tensor for the gradient of x in the order of `arranged(x)`, contiguous.
Tensor allocate_arranged(const Shape& x, const ReductionPlan& plan, DType dtype, Device device);
// That tensor seen in the order of x.
Tensor in_order_of(const Shape& x, const ReductionPlan& plan, const Tensor& arranged);

}  // namespace dnn::detail
