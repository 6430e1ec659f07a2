// Slots of the reductions. The operation brings every case to x [outer, n, inner] -> out [outer, inner], contiguous,
// plain.
#pragma once

#include "core/slot.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// The sizes of a reduction: x is [outer, n, inner], out [outer, inner].
struct ReduceShape {
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
};

enum class Extremum { max, min };

// What a fold makes of the elements over n.
enum class Fold {
  product,
  product_of_nonzero,  // of the elements that are not zero
  any,                 // whether one is not zero
  all,                 // whether none is zero
  zeros,               // how many are zero
  nonzeros,            // how many are not
  squares,             // scale * sum of x^2
  root_of_squares,     // its square root
  magnitudes,          // sum of |x|
  largest_magnitude,   // NaN wins
  norm,                // (sum of |x|^p)^(1/p)
  log_of_exponentials  // log(sum of e^x)
};

struct FoldRule {
  Fold fold = Fold::product;
  double p = 2;
  double scale = 1;
};

// out = scale * sum over n (+ out when `accumulate`). 16-bit types accumulate in float, float in float by blocks or
// pairwise (relative error grows slower than n), integer inputs have int64 outputs (bool counts as 0 and 1).
inline constinit Slot<void(const Tensor& x, const ReduceShape& shape, double scale, const Tensor& out, bool accumulate)>
    reduce_sum{"reduce_sum"};

// values = the extremum over n (undefined: not wanted), indices = int64 position of the first one (undefined: not
// wanted). NaN wins. Any type but bool.
inline constinit Slot<void(const Tensor& x, const ReduceShape& shape, Extremum which, const Tensor& values,
                           const Tensor& indices)>
    reduce_extremum{"reduce_extremum"};

// out [outer, n, inner] = 0 but grad [outer, inner] at indices: the gradient of an extremum.
inline constinit Slot<void(const Tensor& grad, const Tensor& indices, const ReduceShape& shape, const Tensor& out)>
    reduce_extremum_backward{"reduce_extremum_backward"};

// out = the fold of x over n. x is float64 or float32 and out has its type, bool for any and all; or, for product, any
// and all, x is an integer or bool and out int64 or bool. Sums and products are kept in float64.
inline constinit Slot<void(const Tensor& x, const ReduceShape& shape, const FoldRule& rule, const Tensor& out)>
    reduce_fold{"reduce_fold"};

// out [outer, n, inner] = grad * d result / dx, result [outer, inner] being that of the fold: not of product, but of
// product_of_nonzero with count = the number of zeros it left out, as if it had not; undefined for all others. Of
// largest_magnitude all that are equal get the whole gradient. float64 or float32.
inline constinit Slot<void(const FoldRule& rule, const Tensor& grad, const Tensor& x, const Tensor& result,
                           const Tensor& count, const ReduceShape& shape, const Tensor& out)>
    reduce_fold_backward{"reduce_fold_backward"};

// y = softmax or log_softmax of x over n; floating.
inline constinit Slot<void(const Tensor& x, const ReduceShape& shape, bool logarithm, const Tensor& y)> softmax_forward{
    "softmax_forward"};

// out = y * (grad - sum(grad * y)), or grad - exp(y) * sum(grad) for the logarithm (+ out when `accumulate`).
inline constinit Slot<void(const Tensor& grad, const Tensor& y, const ReduceShape& shape, bool logarithm,
                           const Tensor& out, bool accumulate)>
    softmax_backward{"softmax_backward"};

template <class Visit>
void visit_reduce_slots(Visit&& visit) {
  visit(reduce_sum), visit(reduce_extremum), visit(reduce_extremum_backward), visit(reduce_fold);
  visit(reduce_fold_backward), visit(softmax_forward), visit(softmax_backward);
}

}  // namespace dnn::kernel
