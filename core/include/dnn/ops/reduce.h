// Reductions over some dimensions, or over all when none is named.
#pragma once

#include <span>

#include "dnn/tensor.h"

namespace dnn {

/// Which dimensions to reduce.
struct ReduceOptions {
  Shape dims = {};       ///< Dimensions, negative ones count from the end; none means all.
  bool keepdim = false;  ///< Keep reduced dimensions with size 1.
};

/// Options of `var` and `std`.
struct VarOptions {
  Shape dims = {};         ///< Dimensions, negative ones count from the end; none means all.
  int64_t correction = 1;  ///< Subtracted from the number of elements to divide by; 1 (Bessel's) is unbiased.
  bool keepdim = false;    ///< Keep reduced dimensions with size 1.
};

/// Options of `norm`.
struct VectorNormOptions {
  double p = 2;          ///< The exponent, 0 or more: 0 counts what is not zero, infinity finds the largest magnitude.
  Shape dims = {};       ///< Dimensions, negative ones count from the end; none means all.
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
/// Largest elements along one dimension, and where the first of equals were. Throws ShapeError when it is empty.
ValuesAndIndices max(const Tensor& x, int64_t dim, bool keepdim = false);
/// Smallest elements along one dimension; like `max`.
ValuesAndIndices min(const Tensor& x, int64_t dim, bool keepdim = false);
/// Index (int64) of the first largest element along one dimension. Throws ShapeError when it is empty.
Tensor argmax(const Tensor& x, int64_t dim, bool keepdim = false);
/// Index (int64) of the first largest of all elements, in row-major order. Throws ShapeError when there is none.
Tensor argmax(const Tensor& x);
/// Index (int64) of the first smallest element along one dimension; like `argmax`.
Tensor argmin(const Tensor& x, int64_t dim, bool keepdim = false);
/// Index (int64) of the first smallest of all elements; like `argmax`.
Tensor argmin(const Tensor& x);

/// Product; integers and bools give int64. The gradient is right where elements are 0, too.
Tensor prod(const Tensor& x, const ReduceOptions& options = {});
/// Mean square distance from the mean, unbiased by default; too few elements give NaN or infinity. Throws DTypeError
/// unless the type is floating.
Tensor var(const Tensor& x, const VarOptions& options = {});
/// Standard deviation, the square root of `var`; the gradient is 0 where all elements are equal. Throws like `var`.
Tensor std(const Tensor& x, const VarOptions& options = {});
/// (sum of |x|^p)^(1/p); the gradient at 0 is 0, and of equal largest ones each gets a share. Throws DTypeError unless
/// the type is floating, ArgumentError for a negative p.
Tensor norm(const Tensor& x, const VectorNormOptions& options = {});
/// log(sum of e^x), without overflow. Throws DTypeError unless the type is floating.
Tensor logsumexp(const Tensor& x, const ReduceOptions& options = {});
/// Whether any element is not 0 (bool); of none: false.
Tensor any(const Tensor& x, const ReduceOptions& options = {});
/// Whether all elements are not 0 (bool); of none: true.
Tensor all(const Tensor& x, const ReduceOptions& options = {});

}  // namespace dnn
