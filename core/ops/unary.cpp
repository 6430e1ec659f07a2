// Element-wise operations of one tensor: a line each over one shared body.
#include "dnn/ops/unary.h"

#include <algorithm>
#include <cmath>

#include "core/autocast.h"
#include "core/ops/elementwise.h"

namespace dnn {

using detail::unary;
using detail::widened;

namespace {

// The smallest and the largest number of a type that a double holds as well.
std::pair<double, double> limits(DType type) {
  switch (type) {
    case DType::int64: return {-0x1p63, 0x1.fffffffffffffp62};
    case DType::int32: return {-0x1p31, 0x1p31 - 1};
    case DType::uint8: return {0, 255};
    default: return {-INFINITY, INFINITY};
  }
}

}  // namespace

Tensor neg(const Tensor& x) { return unary(functor::Affine{.scale = -1}, x, "neg"); }
Tensor abs(const Tensor& x) { return unary(functor::Abs{}, x); }
Tensor clamp(const Tensor& x, double low, double high) {
  if (!(low <= high))
    throw ArgumentError(fmt::format("clamp: the limits are {} and {}, expected low <= high", low, high));
  const auto [lowest, highest] = x.defined() ? limits(x.dtype()) : limits(DType::float32);
  const double from = std::clamp(low, lowest, highest), to = std::clamp(high, lowest, highest);
  const bool whole = from == std::floor(from) && to == std::floor(to);
  return unary(functor::Clamp{.low = from, .high = to},
               x.defined() && !is_floating(x.dtype()) && !whole ? x.to(DType::float32) : x);
}
Tensor exp(const Tensor& x) { return unary(functor::Exp{}, widened(x)); }
Tensor log(const Tensor& x) { return unary(functor::Log{}, widened(x)); }
Tensor sqrt(const Tensor& x) { return unary(functor::Sqrt{}, x); }
Tensor square(const Tensor& x) { return unary(functor::Square{}, x); }
Tensor tanh(const Tensor& x) { return unary(functor::Tanh{}, x); }
Tensor log1p(const Tensor& x) { return unary(functor::Log1p{}, widened(x)); }
Tensor expm1(const Tensor& x) { return unary(functor::Expm1{}, widened(x)); }
Tensor rsqrt(const Tensor& x) { return unary(functor::Rsqrt{}, widened(x)); }
Tensor reciprocal(const Tensor& x) { return unary(functor::Reciprocal{}, widened(x)); }
Tensor sin(const Tensor& x) { return unary(functor::Sin{}, x); }
Tensor cos(const Tensor& x) { return unary(functor::Cos{}, x); }
Tensor erf(const Tensor& x) { return unary(functor::Erf{}, x); }
Tensor sign(const Tensor& x) { return unary(functor::Sign{}, x); }
Tensor floor(const Tensor& x) { return unary(functor::Floor{}, x); }
Tensor ceil(const Tensor& x) { return unary(functor::Ceil{}, x); }
Tensor round(const Tensor& x) { return unary(functor::Round{}, x); }

}  // namespace dnn
