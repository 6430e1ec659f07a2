// Reading and writing at positions that a tensor of indices (int64 or int32) or a mask (bool) names.
//
// An index out of range throws IndexError: on the CPU at once, on a GPU at the next wait. Indices do not count from the
// end when they are negative.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// Entries of one dimension: [..., n, ...] at indices [m] -> [..., m, ...]. Throws ShapeError, DTypeError, IndexError.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// y[i][j][k] = x[i][index[i][j][k]][k] for dim 1, and so on: the result has the index's shape, which may be smaller
/// than x in the other dimensions. Throws ShapeError, DTypeError, IndexError.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// Elements of the flattened tensor: the result has the index's shape. Throws DTypeError, IndexError.
Tensor take(const Tensor& x, const Tensor& index);

/// x with y[i][index[i][j][k]][k] += source[i][j][k] for dim 1, and so on; the index may be smaller than both tensors.
/// Sums are the same in every run. Throws ShapeError, DTypeError, IndexError.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// `scatter_add` in place; throws AutogradError on a tensor that autograd records.
void scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// x with y[i][index[i][j][k]][k] = source[i][j][k] for dim 1, and so on; of several sources for one element the last
/// counts, and the gradient is right only where there is one. Throws ShapeError, DTypeError, IndexError.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// `scatter` in place; throws AutogradError on a tensor that autograd records.
void scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// `scatter` of one number, in place.
void scatter_(const Tensor& x, int64_t dim, const Tensor& index, Scalar value);
/// x with entry index[j] of a dimension += alpha * entry j of the source: [..., n, ...], [m], [..., m, ...] ->
/// [..., n, ...]. Sums are the same in every run. Throws ShapeError, DTypeError, IndexError.
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);

/// Coordinates of all elements that are not zero, in row-major order: [...] -> [count, rank], int64. Waits for the
/// device, since the count is part of the shape.
Tensor nonzero(const Tensor& x);
/// The elements where a mask (bool, of a shape that broadcasts with x) is set, in row-major order: [count]. Waits for
/// the device, since the count is part of the shape. Throws DTypeError, ShapeError.
Tensor masked_select(const Tensor& x, const Tensor& mask);

}  // namespace dnn
