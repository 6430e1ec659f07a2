// Operations that move elements without computing. Views are methods of Tensor; these are their free forms.
#pragma once

#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// The same elements in another shape; see Tensor::reshape.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Dimensions from `start` to `end` as one; see Tensor::flatten.
Tensor flatten(const Tensor& x, int64_t start = 1, int64_t end = -1);
/// Two dimensions exchanged; see Tensor::transpose.
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
/// A range of one dimension; see Tensor::slice.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
/// One index of a dimension; see Tensor::select.
Tensor select(const Tensor& x, int64_t dim, int64_t index);
/// Dimensions of size 1 repeated; see Tensor::expand.
Tensor expand(const Tensor& x, const Shape& shape);
/// Tensors one after another along a dimension, which alone may differ: [a, n], [b, n] -> [a + b, n] for dim 0. Throws
/// ShapeError, ArgumentError for an empty list.
Tensor cat(const std::vector<Tensor>& tensors, int64_t dim = 0);

}  // namespace dnn
