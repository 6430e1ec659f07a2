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
/// The dimensions in another order; see Tensor::permute.
Tensor permute(const Tensor& x, const Shape& dims);
/// One dimension moved to another place, the others staying in order, a view; throws IndexError.
Tensor movedim(const Tensor& x, int64_t source, int64_t destination);
/// Without a dimension of size 1; see Tensor::squeeze.
Tensor squeeze(const Tensor& x, int64_t dim);
/// With a new dimension of size 1; see Tensor::unsqueeze.
Tensor unsqueeze(const Tensor& x, int64_t dim);
/// The same as `expand`.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// The elements at positions i, i + offset (i - offset, i for a negative offset) of two dimensions, as a new last one,
/// a view: [..., m, ..., n, ...] -> [..., min(m, n - offset)]. Throws IndexError, ShapeError.
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim0 = 0, int64_t dim1 = 1);

/// Parts of `size` along a dimension, the last one smaller when they do not fill it, views; throws ArgumentError.
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim = 0);
/// Parts of these sizes along a dimension, views; throws ArgumentError when their sum is not the dimension's size.
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// At most `chunks` parts along a dimension, all of one size but the last, views; throws ArgumentError.
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
/// The entries of a dimension, which disappears, views.
std::vector<Tensor> unbind(const Tensor& x, int64_t dim = 0);
/// Tensors of one shape along a new dimension: k of [m, n] -> [k, m, n] for dim 0. Throws ShapeError, ArgumentError for
/// an empty list.
Tensor stack(const std::vector<Tensor>& tensors, int64_t dim = 0);

/// How `pad` continues a tensor beyond its borders.
enum class PadMode {
  constant,  ///< With one value.
  reflect,   ///< Mirrored at the outermost elements, which are not repeated.
  replicate  ///< With the outermost elements.
};

/// Options of `pad`.
struct PadOptions {
  PadMode mode = PadMode::constant;  ///< What lies beyond the borders.
  Scalar value = 0;                  ///< For the constant mode.
};

/// A copy with elements added before and after dimensions: two sizes for each, the last dimension's first ({left,
/// right, top, bottom} for images); a negative size cuts off (constant mode only). Throws ArgumentError, ShapeError.
Tensor pad(const Tensor& x, const std::vector<int64_t>& sizes, const PadOptions& options = {});
/// A copy with some dimensions backwards; throws IndexError.
Tensor flip(const Tensor& x, const Shape& dims);
/// A copy with the entries of a dimension moved on by `shift`, those beyond the end to the front. Throws IndexError.
Tensor roll(const Tensor& x, int64_t shift, int64_t dim);
/// The lower triangle of the last two dimensions, zeros elsewhere: elements (i, j) with j <= i + diagonal stay. Throws
/// ShapeError.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
/// The upper triangle of the last two dimensions, zeros elsewhere: elements (i, j) with j >= i + diagonal stay. Throws
/// ShapeError.
Tensor triu(const Tensor& x, int64_t diagonal = 0);
/// A copy with each dimension repeated, one count for each or more, which add dimensions in front. Throws ShapeError.
Tensor repeat(const Tensor& x, const Shape& counts);
/// The same as `repeat`, but counts missing in front are 1.
Tensor tile(const Tensor& x, const Shape& counts);

/// Tensors one after another along a dimension, which alone may differ: [a, n], [b, n] -> [a + b, n] for dim 0. Throws
/// ShapeError, ArgumentError for an empty list.
Tensor cat(const std::vector<Tensor>& tensors, int64_t dim = 0);

}  // namespace dnn
