// Products, norms, variances and what is left of the reductions. 16-bit types are converted to float32 before and back
// after, so that every result is rounded once.
#include <cmath>
#include <limits>

#include "core/autocast.h"
#include "core/ops/fusion.h"
#include "core/ops/reduction.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::Fold;
using kernel::FoldRule;
using Plan = detail::ReductionPlan;

namespace {

bool is_narrow(const Tensor& x) { return x.defined() && is_floating(x.dtype()) && size_of(x.dtype()) == 2; }

// The type of the result of those that stay in float32 under autocast.
DType type_of(const Tensor& x) { return detail::autocasts() ? DType::float32 : x.dtype(); }

Tensor fold(const Tensor& x, const Plan& p, const FoldRule& rule, DType type) {
  NoGrad no_grad;
  Tensor out = detail::allocate(p.result, type, x.device());
  if (out.numel() > 0) kernel::reduce_fold[x.device()](detail::arranged(x, p), p.sizes, rule, out);
  return out;
}

// grad * d result / dx of a reduction, in the order of x.
Tensor slopes(const FoldRule& rule, const Tensor& grad, const Tensor& x, const Tensor& result, const Tensor& count,
              const Plan& p) {
  Tensor whole = detail::allocate_arranged(x.shape(), p, x.dtype(), x.device());
  if (whole.numel() > 0)
    kernel::reduce_fold_backward[x.device()](rule, detail::plain(grad), detail::arranged(x, p), result, count, p.sizes,
                                             whole);
  return detail::in_order_of(x.shape(), p, whole);
}

// Whether any or all elements are not zero.
Tensor truth(const char* where, Fold fold_of, const Tensor& x, const ReduceOptions& options) {
  const Plan p = detail::plan_reduction(where, x, options.dims, options.keepdim);
  NoGrad no_grad;
  return fold(is_narrow(x) ? x.to(DType::float32) : x, p, {.fold = fold_of}, DType::boolean);
}

// Sum of squared distances from the mean, divided; its gradient is 2 / divisor * (x - mean), or, of the root, that of a
// norm of x - mean.
Tensor spread(const char* where, bool root, const Tensor& x, const VarOptions& options) {
  detail::check_defined(where, {{"input", &x}});
  detail::check_floating(where, "input", x);
  if (is_narrow(x)) return spread(where, root, x.to(DType::float32), options).to(x.dtype());
  const Plan p = detail::plan_reduction(where, x, options.dims, options.keepdim);
  // Too few elements divide by 0, as in PyTorch.
  const double divisor = std::fmax(0, static_cast<double>(p.sizes.n - options.correction));
  const ReduceOptions whole{.dims = options.dims, .keepdim = true};
  Tensor centre, out;
  {
    NoGrad no_grad;
    centre = mean(x, whole);
    out = fold(x - centre, p, {.fold = root ? Fold::root_of_squares : Fold::squares, .scale = 1 / divisor}, x.dtype());
  }
  detail::record(
      where, out, {x},
      [p, x = Saved(x), y = Saved(root ? out : Tensor()), centre = Saved(centre), root, divisor](Backward& b) {
        const Tensor distance = detail::plain(b.get(x) - b.get(centre));
        const Tensor grad = b.grad() * ((root ? 1 : 2) / divisor);
        b.set(0, root ? slopes({.fold = Fold::root_of_squares}, grad, distance, b.get(y), {}, p)
                      : distance * grad.reshape(p.kept));
      });
  return out;
}

}  // namespace

Tensor prod(const Tensor& x, const ReduceOptions& options) {
  detail::check_defined("prod", {{"input", &x}});
  if (is_narrow(x)) return prod(x.to(DType::float32), options).to(type_of(x));
  const Plan p = detail::plan_reduction("prod", x, options.dims, options.keepdim);
  const Tensor out = fold(x, p, {.fold = Fold::product}, is_floating(x.dtype()) ? x.dtype() : DType::int64);
  detail::record("prod", out, {x}, [p, x = Saved(x)](Backward& b) {
    const Tensor input = b.get(x);
    const FoldRule others{.fold = Fold::product_of_nonzero};
    const Tensor product = fold(input, p, others, input.dtype());
    const Tensor count = fold(input, p, {.fold = Fold::zeros}, input.dtype());
    b.set(0, slopes(others, b.grad(), input, product, count, p));
  });
  return out;
}

Tensor any(const Tensor& x, const ReduceOptions& options) { return truth("any", Fold::any, x, options); }
Tensor all(const Tensor& x, const ReduceOptions& options) { return truth("all", Fold::all, x, options); }

Tensor norm(const Tensor& x, const VectorNormOptions& options) {
  detail::check_defined("norm", {{"input", &x}});
  detail::check_floating("norm", "input", x);
  if (!(options.p >= 0))
    throw ArgumentError(fmt::format("norm: p is {}, expected 0 or more (input {})", options.p, x.shape()));
  if (is_narrow(x)) return norm(x.to(DType::float32), options).to(type_of(x));
  const Plan p = detail::plan_reduction("norm", x, options.dims, options.keepdim);
  const FoldRule rule{.fold = std::isinf(options.p) ? Fold::largest_magnitude
                              : options.p == 0      ? Fold::nonzeros
                              : options.p == 1      ? Fold::magnitudes
                              : options.p == 2      ? Fold::root_of_squares
                                                    : Fold::norm,
                      .p = options.p};
  if (rule.fold == Fold::largest_magnitude && p.sizes.n == 0 && p.result.numel() > 0)
    throw ShapeError(
        fmt::format("norm: no elements to choose from, expected a dimension that is not empty (shape {})", x.shape()));
  const Tensor out = fold(x, p, rule, x.dtype());
  detail::record("norm", out, {x}, [p, rule, x = Saved(x), y = Saved(out)](Backward& b) {
    const Tensor input = b.get(x), length = b.get(y);
    Tensor grad = b.grad();
    if (rule.fold == Fold::largest_magnitude) {
      // Equal ones share the gradient.
      grad = grad / fold(detail::plain(abs(input)) - length.reshape(p.kept), p, {.fold = Fold::zeros}, input.dtype());
    }
    b.set(0, slopes(rule, grad, input, length, {}, p));
  });
  return out;
}

Tensor logsumexp(const Tensor& x, const ReduceOptions& options) {
  detail::check_defined("logsumexp", {{"input", &x}});
  detail::check_floating("logsumexp", "input", x);
  if (is_narrow(x)) return logsumexp(x.to(DType::float32), options).to(type_of(x));
  const Plan p = detail::plan_reduction("logsumexp", x, options.dims, options.keepdim);
  const FoldRule rule{.fold = Fold::log_of_exponentials};
  Tensor out;
  {
    NoGrad no_grad;
    // Relative to the largest, nothing overflows; infinities become finite here, since their difference is not a
    // number.
    constexpr double limit = std::numeric_limits<float>::max();
    const Tensor top = p.sizes.n == 0 ? zeros(p.kept, x.options())
                                      : clamp(max(x, {.dims = options.dims, .keepdim = true}), -limit, limit);
    out = fold(x - top, p, rule, x.dtype()) + top.reshape(p.result);
  }
  detail::record("logsumexp", out, {x}, [p, rule, x = Saved(x), y = Saved(out)](Backward& b) {
    b.set(0, slopes(rule, b.grad(), b.get(x), b.get(y), {}, p));
  });
  return out;
}

Tensor var(const Tensor& x, const VarOptions& options) { return spread("var", false, x, options); }
Tensor std(const Tensor& x, const VarOptions& options) { return spread("std", true, x, options); }

}  // namespace dnn
