// Reductions over some dimensions, or over all when none is named.
#pragma once

#include <span>

#include "dnn/tensor.h"

namespace dnn {

/// Which dimensions to reduce.
struct ReduceOptions {
  Shape dims;            ///< Dimensions, negative ones count from the end; none means all.
  bool keepdim = false;  ///< Keep reduced dimensions with size 1.
};

/// What an operation that chooses elements gives: the elements, and where they were along the dimension (int64).
struct ValuesAndIndices {
  Tensor values, indices;
};

/// Sum; integers and bools give int64. Throws IndexError for a dimension out of range or named twice.
Tensor sum(const Tensor& x, const ReduceOptions& options = {});
/// Arithmetic mean; throws DTypeError unless the type is floating.
Tensor mean(const Tensor& x, const ReduceOptions& options = {});
/// Largest element; the gradient goes to the first of equals. Throws ShapeError when a reduced dimension is empty.
Tensor max(const Tensor& x, const ReduceOptions& options = {});
/// Smallest element; like `max`.
Tensor min(const Tensor& x, const ReduceOptions& options = {});
/// Index (int64) of the first largest element along one dimension. Throws ShapeError when it is empty.
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);

}  // namespace dnn
