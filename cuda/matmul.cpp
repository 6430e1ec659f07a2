// Matrix products: each becomes one call of cuBLASLt with as much of what goes with it as an epilogue can do; own
// kernels do the rest. Plans are kept, so that a problem is looked up but once.
#include <fmt/format.h>

#include "core/functors.h"
#include "core/kernels/elementwise.h"
#include "cuda/context.h"
#include "cuda/kernels.h"
#include "cuda/matmul_choice.h"
#include "cuda/plan_cache.h"
#include "dnn/error.h"
#include "dnn/precision.h"

namespace dnn::cuda {

namespace {

struct Key {
  int device;
  MatmulProblem problem;
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const { return MatmulProblemHash{}(key.problem) + static_cast<size_t>(key.device); }
};

using Plan = std::shared_ptr<const MatmulPlan>;

Plan plan_of(Device device, const MatmulProblem& problem) {
  static auto& plans = *new PlanCache<Key, Plan, KeyHash>(1024);  // tensors may outlive every static object
  return plans.get({device.index(), problem}, [&] { return make_matmul_plan(device, problem); });
}

// False when the library cannot compute the problem.
bool try_run(Device device, MatmulProblem problem, const MatmulPointers& pointers) {
  problem.align_as(pointers);
  Context& context = Context::of(device.index());
  const Plan plan = plan_of(device, problem);
  if (plan == nullptr) return false;
  plan->run(context, pointers);
  context.called("cublasLtMatmul");
  return true;
}

[[noreturn]] void throw_no_algorithm(const char* where, const MatmulProblem& problem) {
  throw BackendError(fmt::format("{}: cuBLASLt has no algorithm, expected one ({})", where, problem.str()));
}

void run(const char* where, Device device, const MatmulProblem& problem, const MatmulPointers& pointers) {
  if (!try_run(device, problem, pointers)) throw_no_algorithm(where, problem);
}

// A product over no terms.
void zero_unless(bool accumulate, const Tensor& out) {
  if (!accumulate) fill(out, 0.0);
}

// argument += bias, out = activation(argument); both are one tensor when there is no activation, and may be with one.
void finish(const Tensor& argument, const Tensor& bias, Activation activation, const Tensor& out) {
  const Device device = out.device();
  if (bias.defined()) {
    const Tensor rows = detail::make_view(bias, out.shape(), {0, 1}, detail::Access::impl(bias).offset);
    kernel::binary_forward<functor::Add>[device](functor::Add{}, argument, rows, argument);
  }
  if (activation == Activation::relu) kernel::unary_forward<functor::Relu>[device](functor::Relu{}, argument, out);
  if (activation == Activation::gelu_tanh)
    kernel::unary_forward<functor::GeluTanh>[device](functor::GeluTanh{}, argument, out);
}

}  // namespace

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out, bool accumulate) {
  const int64_t m = out.shape()[0], n = out.shape()[1], k = a.shape()[transpose_a ? 0 : 1];
  if (m == 0 || n == 0) return;
  if (k == 0) return zero_unless(accumulate, out);
  run("gemm", out.device(),
      gemm_problem(out.dtype(), m, n, k, transpose_a, transpose_b, accumulate, tf32_allowed().product),
      {.a = detail::raw(b), .b = detail::raw(a), .d = detail::raw(out)});
}

void gemm_batched(const kernel::BatchedGemm& product, const Tensor& a, const Tensor& b, const Tensor& out,
                  bool accumulate) {
  if (out.numel() == 0) return;
  if (product.k == 0) return zero_unless(accumulate, out);
  run("gemm_batched", out.device(), batched_problem(product, out.dtype(), accumulate, tf32_allowed().product),
      {.a = detail::raw(b), .b = detail::raw(a), .d = detail::raw(out)});
}

void linear_fused(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                  const Tensor& out, const Tensor& before) {
  const int64_t m = out.shape()[0], n = out.shape()[1], k = x.shape()[1];
  if (m == 0 || n == 0) return;
  const Tensor& argument = before.defined() ? before : out;
  if (k == 0) {
    add.defined() ? copy(add, argument) : fill(argument, 0.0);
    return finish(argument, bias, activation, out);
  }
  const LinearExtras extras{bias.defined(), add.defined(), activation};
  const bool tf32 = tf32_allowed().product;
  // All at once, or without the activation, or the product alone.
  for (const auto& [fuse_bias, fuse_activation] : {std::pair(true, true), {true, false}, {false, false}}) {
    const auto problem = linear_problem(out.dtype(), m, n, k, extras, fuse_bias, fuse_activation, tf32);
    if (!problem) continue;
    // Gelu's argument is written even where nobody wants it, so that the result does not depend on that.
    const Tensor aux = has_aux(problem->epilogue) && !before.defined()
                           ? detail::allocate(out.shape(), out.dtype(), out.device())
                           : before;
    const MatmulPointers pointers{.a = detail::raw(weight),
                                  .b = detail::raw(x),
                                  .c = elements<void>(add),
                                  .d = detail::raw(fuse_activation ? out : argument),
                                  .bias = has_bias(problem->epilogue) ? detail::raw(bias) : nullptr,
                                  .aux = has_aux(problem->epilogue) ? detail::raw(aux) : nullptr};
    if (!try_run(out.device(), *problem, pointers)) continue;
    if (fuse_activation) return;
    return finish(argument, fuse_bias ? Tensor() : bias, activation, out);
  }
  throw_no_algorithm("linear", *linear_problem(out.dtype(), m, n, k, extras, false, false, tf32));
}

void linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out, const Tensor& mask,
                 bool* done) {
  const auto problem = relu_problem(out.dtype(), out.shape()[0], out.shape()[1], x.shape()[1], tf32_allowed().product);
  *done = problem && try_run(out.device(), *problem,
                             {.a = detail::raw(weight),
                              .b = detail::raw(x),
                              .d = detail::raw(out),
                              .bias = detail::raw(bias),
                              .aux = detail::raw(mask)});
}

void linear_backward_relu(const Tensor& grad, const Tensor& weight, const Tensor& mask, const Tensor& out,
                          const Tensor& grad_bias, bool* done) {
  const auto problem =
      relu_gradient_problem(grad.dtype(), grad.shape()[0], grad.shape()[1], out.shape()[1], tf32_allowed().product);
  *done = problem && try_run(grad.device(), *problem,
                             {.a = detail::raw(weight),
                              .b = detail::raw(grad),
                              .d = detail::raw(out),
                              .bias = detail::raw(grad_bias),
                              .aux = detail::raw(mask)});
}

void linear_backward_weight(const Tensor& grad, const Tensor& x, const Tensor& grad_weight, bool accumulate,
                            const Tensor& grad_bias, bool accumulate_bias) {
  const int64_t m = grad.shape()[0], n = grad.shape()[1], k = x.shape()[1];
  // The epilogue writes the sums and cannot add to them.
  if (m != 0 && grad_weight.numel() != 0 && !accumulate_bias) {
    const auto problem = weight_gradient_problem(grad.dtype(), m, n, k, accumulate, tf32_allowed().product);
    const MatmulPointers pointers{
        .a = detail::raw(x), .b = detail::raw(grad), .d = detail::raw(grad_weight), .bias = detail::raw(grad_bias)};
    if (problem && try_run(grad.device(), *problem, pointers)) return;
  }
  gemm(grad, true, x, false, grad_weight, accumulate);
  reduce_sum(grad, {1, m, n}, 1.0, grad_bias, accumulate_bias);
}

}  // namespace dnn::cuda
