// Reading and writing at positions that a tensor of indices (int64 or int32) or a mask (bool) names.
//
// An index out of range throws IndexError: on the CPU at once, on a GPU at the next wait. Indices do not count from the
// end when they are negative.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <variant>

#include "dnn/tensor.h"

namespace dnn {

/// Positions start <= i < stop of a dimension by `step`: `Slice()` all, `Slice(2)` from 2 on, `Slice(0, -1)` all but
/// the last; as in Python, but steps are 1 or more.
struct Slice {
  static constexpr int64_t end = std::numeric_limits<int64_t>::max();  ///< Behind the last position.
  int64_t start;                                                       ///< The first position.
  int64_t stop;                                                        ///< The position behind the last one.
  int64_t step;                                                        ///< The distance of two positions.
  constexpr Slice(int64_t from = 0, int64_t to = end, int64_t by = 1) : start(from), stop(to), step(by) {}
};

/// The type of `ellipsis`.
struct Ellipsis {};
/// As an index: all dimensions that the others leave out.
inline constexpr Ellipsis ellipsis;

/// The type of `new_axis`.
struct NewAxis {};
/// As an index: a new dimension of size 1.
inline constexpr NewAxis new_axis;

/// One of the indices of Tensor::index: a position (the dimension disappears; negative ones count from the end), a
/// Slice, `ellipsis`, `new_axis`, or one tensor: of indices (int64 or int32, whose dimensions take the place of the
/// dimension), or a mask (bool, in place of as many dimensions as it has; one is left, see `masked_select`). With a
/// tensor the result is a copy, otherwise a view, so that `x.index({...}).fill_(0)` and `.copy_` write into x.
class Index {
 public:
  Index(int64_t position) : value_(position) {}
  Index(int position) : value_(int64_t{position}) {}
  Index(const Slice& slice) : value_(slice) {}
  Index(Ellipsis all_others) : value_(all_others) {}
  Index(NewAxis axis) : value_(axis) {}
  Index(const Tensor& tensor) : value_(tensor) {}
  const std::variant<int64_t, Slice, Ellipsis, NewAxis, Tensor>& value() const { return value_; }

 private:
  std::variant<int64_t, Slice, Ellipsis, NewAxis, Tensor> value_;
};

/// Entries of one dimension: [..., n, ...] at indices [m] -> [..., m, ...]. Throws ShapeError, DTypeError, IndexError.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// y[i][j][k] = x[i][index[i][j][k]][k] for dim 1, and so on: the result has the index's shape, which may be smaller
/// than x in the other dimensions. Throws ShapeError, DTypeError, IndexError.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// Elements of the flattened tensor: the result has the index's shape. Throws DTypeError, IndexError.
Tensor take(const Tensor& x, const Tensor& index);

/// Rows start() to start() + size of x, as a copy: [n, ...] -> [size, ...]. Like `x.slice(0, start, start + size)`, but
/// each repetition of a captured step (dnn/capture.h) asks `start` anew, so that a step finds its own part of what lies
/// on the GPU. The step keeps `start`, which is asked any number of times, of an empty result never. No gradient.
/// Throws ShapeError, ArgumentError for an empty function, IndexError.
Tensor dynamic_slice(const Tensor& x, const std::function<int64_t()>& start, int64_t size);

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
