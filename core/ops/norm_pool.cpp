// Batch normalisation with ReLU and max pooling behind it: one operation where the device has kernels for all at once,
// else the two.
#include "core/kernels/norm_pool.h"

#include "core/check.h"
#include "core/node.h"
#include "core/ops/batch_norm.h"
#include "core/ops/image_problems.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/pool.h"

namespace dnn {

using detail::Backward;
using detail::Layout;
using detail::Saved;

namespace {

bool fits(const kernel::PoolProblem& problem, const Tensor& x, const BatchNormOptions& options) {
  if (!options.training || options.activation != Activation::relu || options.add.defined()) return false;
  bool answer = false;
  if (kernel::batch_norm_pool_fits.filled(x.device())) kernel::batch_norm_pool_fits[x.device()](problem, x, &answer);
  return answer;
}

}  // namespace

Tensor batch_norm_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                             const Tensor& running_var, const BatchNormOptions& options, const Pool2dOptions& pool) {
  detail::check_batch_norm(input, weight, bias, running_mean, running_var, options);
  if (input.rank() != 4)
    throw ShapeError(fmt::format("batch_norm_max_pool2d: input has {} dimensions, expected 4, [n, c, h, w] (input {})",
                                 input.rank(), input.shape()));
  const kernel::PoolProblem problem = detail::pool_problem("max_pool2d", input.shape(), pool);
  const Tensor x = input.contiguous();
  if (!fits(problem, x, options))
    return max_pool2d(batch_norm(x, weight, bias, running_mean, running_var, options), pool);

  const auto image = [&](DType type) {
    Tensor t = detail::allocate(problem.output, type, x.device());
    detail::set_layout(t, Layout::channels_last);
    return t;
  };
  Tensor out = image(x.dtype()), winners;
  if (detail::needs_grad(std::initializer_list<Tensor>{input, weight, bias})) winners = image(DType::uint8);
  const Tensor mean = empty_like(weight), inv_std = empty_like(weight);
  const auto running = detail::running_statistics(running_mean, running_var, options);
  kernel::batch_norm_pool_train[x.device()](problem, x, weight, bias, options.eps, running, mean, inv_std, out,
                                            winners);
  detail::bump_versions(running);

  detail::record("batch_norm_max_pool2d", out, {x, weight, bias},
                 [problem, x = Saved(x), w = Saved(weight), shift = Saved(bias), mean, inv_std, winners](Backward& b) {
                   kernel::BatchNormGradients out;
                   const auto ask = [&](int i, Tensor& tensor, bool& accumulate, Layout where) {
                     if (!b.wants(i)) return;
                     const detail::Destination to = b.into(i, where);
                     tensor = to.tensor, accumulate = to.accumulate;
                   };
                   ask(0, out.input, out.accumulate_input, Layout::channels_last);
                   ask(1, out.weight, out.accumulate_weight, Layout::plain);
                   ask(2, out.bias, out.accumulate_bias, Layout::plain);
                   const Tensor input = detail::in_layout(b.get(x), Layout::channels_last);
                   kernel::batch_norm_pool_backward[input.device()](
                       problem, detail::in_layout(b.grad(), Layout::channels_last), winners, input, b.get(w),
                       b.get(shift), mean, inv_std, out);
                 });
  return out;
}

}  // namespace dnn
