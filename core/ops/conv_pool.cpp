// Convolution with max pooling behind it: one operation where the device has kernels for both at once, else the two.
#include "core/kernels/conv_pool.h"

#include "core/autocast.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "core/ops/image_problems.h"
#include "dnn/error.h"
#include "dnn/precision.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::ConvPoolProblem;

namespace {

ConvPoolProblem problem_of(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& conv,
                           const Pool2dOptions& pool, std::optional<DType> cast = std::nullopt) {
  ConvPoolProblem problem;
  problem.conv = detail::conv_problem("conv2d", input, weight, bias, conv, cast);
  problem.activation = conv.activation;
  problem.pool = detail::pool_problem("max_pool2d", problem.conv.output, pool);
  return problem;
}

bool fits(const ConvPoolProblem& problem, Device device, const Conv2dOptions& conv) {
  if (conv.add.defined() || !kernel::conv2d_pool_fits.filled(device)) return false;
  bool answer = false;
  kernel::conv2d_pool_fits[device](problem, &answer);
  return answer;
}

}  // namespace

bool fuses_conv2d_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& conv,
                             const Pool2dOptions& pool) {
  if (!input.defined() || !kernel::conv2d_pool_fits.filled(input.device())) return false;
  const bool is_cast = detail::autocasts() && is_floating(input.dtype()) && input.dtype() != DType::float64;
  const auto cast = is_cast ? std::optional(autocast_dtype()) : std::nullopt;
  try {
    return fits(problem_of(input, weight, bias, conv, pool, cast), input.device(), conv);
  } catch (const Error&) {  // which the operation itself throws
    return false;
  }
}

Tensor conv2d_max_pool2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Conv2dOptions& conv,
                         const Pool2dOptions& pool) {
  if (detail::autocasts()) {
    if (conv.add.defined()) return max_pool2d(conv2d(input, weight, bias, conv), pool);
    const detail::CastScope cast("conv2d", input);
    return conv2d_max_pool2d(cast(input), cast.weight(weight), cast.weight(bias), conv, pool);
  }
  const ConvPoolProblem problem = problem_of(input, weight, bias, conv, pool);
  const Device device = input.device();
  if (!fits(problem, device, conv)) return max_pool2d(conv2d(input, weight, bias, conv), pool);
  const Tensor x = detail::plain(input);
  Tensor out = detail::allocate(problem.pool.output, problem.conv.dtype, device), winners;
  if (detail::needs_grad(std::initializer_list<Tensor>{input, weight, bias}))
    winners = detail::allocate(problem.pool.output, DType::uint8, device);
  {
    NoGrad no_grad;
    kernel::conv2d_pool_forward[device](problem, x, detail::plain(weight), bias.defined() ? detail::plain(bias) : bias,
                                        out, winners);
  }
  detail::record(
      "conv2d_max_pool2d", out, {x, weight, bias}, [problem, x = Saved(x), w = Saved(weight), winners](Backward& b) {
        const Tensor grad = detail::plain(b.grad());
        if (b.wants(0)) {
          const auto [out, accumulate] = b.into(0);
          kernel::conv2d_pool_backward_data[out.device()](problem, grad, winners, detail::plain(b.get(w)), out,
                                                          accumulate);
        }
        const auto into = [&](int i) { return b.wants(i) ? b.into(i) : detail::Destination{{}, false}; };
        const auto [weight, accumulate_weight] = into(1);
        const auto [bias, accumulate_bias] = into(2);
        if (weight.defined() || bias.defined())
          kernel::conv2d_pool_backward_weight[grad.device()](problem, detail::plain(b.get(x)), grad, winners, weight,
                                                             accumulate_weight, bias, accumulate_bias);
      });
  return out;
}

}  // namespace dnn
