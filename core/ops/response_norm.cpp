// Local response normalisation over neighbouring channels.
#include <cmath>
#include <utility>

#include "core/check.h"
#include "core/kernels/norm.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/norm.h"

namespace dnn {

using detail::Backward;
using detail::Saved;

Tensor local_response_norm(const Tensor& input, const LocalResponseNormOptions& o) {
  constexpr const char* where = "local_response_norm";
  detail::check_defined(where, {{"input", &input}});
  detail::check_floating(where, "input", input);
  const Shape& shape = input.shape();
  if (shape.rank() < 3)
    throw ShapeError(fmt::format("{}: input has {} dimensions, expected at least 3, [n, c, ...] (input {})", where,
                                 shape.rank(), shape));
  if (o.size < 1)
    throw ArgumentError(fmt::format("{}: size is {}, expected at least 1 (input {})", where, o.size, shape));
  for (const auto& [name, value] : {std::pair{"alpha", o.alpha}, {"beta", o.beta}, {"k", o.k}})
    if (!std::isfinite(value))
      throw ArgumentError(fmt::format("{}: {} is {}, expected a finite number", where, name, value));
  kernel::ResponseNormProblem problem{
      shape[0], shape[1], 1, o.size / 2, (o.size - 1) / 2, o.alpha / static_cast<double>(o.size), o.beta, o.k};
  for (int64_t d = 2; d < shape.rank(); ++d) problem.inner *= shape[d];

  const Tensor x = input.contiguous();
  const Device device = x.device();
  kernel::ResponseNormPlan plan;
  if (kernel::response_norm_plan.filled(device)) kernel::response_norm_plan[device](problem, x, &plan);
  if (plan.layout == detail::Layout::channels_last)
    problem.outer *= std::exchange(problem.inner, 1);
  else
    detail::make_plain(x);
  Tensor out = detail::allocate_like(x), divisor;
  if (plan.keeps_divisor)
    divisor = detail::allocate(shape, x.dtype() == DType::float64 ? DType::float64 : DType::float32, device);
  kernel::response_norm_forward[device](problem, x, divisor, out);
  const Saved y = plan.keeps_divisor ? Saved(out) : Saved();
  detail::record(where, out, {x}, [problem, layout = plan.layout, x = Saved(x), y, divisor](Backward& b) {
    const auto arranged = [layout](const Tensor& t) {
      if (!t.defined()) return t;
      return layout == detail::Layout::plain ? detail::plain(t) : detail::in_layout(t, layout);
    };
    const auto [out, accumulate] = b.into(0, layout);
    kernel::response_norm_backward[out.device()](problem, arranged(b.grad()), arranged(b.get(x)), arranged(b.get(y)),
                                                 divisor, out, accumulate);
  });
  return out;
}

}  // namespace dnn
