// Putting elements in order, and running sums.
#pragma once

#include "dnn/ops/reduce.h"
#include "dnn/tensor.h"

namespace dnn {

/// Options of `sort` and `argsort`.
struct SortOptions {
  int64_t dim = -1;         ///< The dimension to sort along.
  bool descending = false;  ///< The largest first; NaN, larger than every number, then comes first as well.
  bool stable = true;       ///< Equal elements keep their order; they do so in any case.
};

/// Options of `topk`.
struct TopkOptions {
  int64_t dim = -1;     ///< The dimension to choose along.
  bool largest = true;  ///< Or the smallest.
  bool sorted = true;   ///< In order; the result is so in any case.
};

/// The elements of each row along a dimension in order, and their positions (int64), both shaped as x; the gradient
/// goes back to where the values came from. Throws IndexError.
ValuesAndIndices sort(const Tensor& x, const SortOptions& options = {});
/// The positions alone that `sort` gives.
Tensor argsort(const Tensor& x, const SortOptions& options = {});
/// The k largest (or smallest) elements of each row along a dimension, the outermost first, and their positions
/// (int64):
/// [..., n, ...] -> [..., k, ...]; of equals the first. Throws IndexError, ArgumentError unless 0 <= k <= n.
ValuesAndIndices topk(const Tensor& x, int64_t k, const TopkOptions& options = {});
/// Sums along a dimension up to and including each element, shaped as x; integers and bools give int64. Throws
/// IndexError.
Tensor cumsum(const Tensor& x, int64_t dim);

}  // namespace dnn
