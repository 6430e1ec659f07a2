// Layer, group and instance normalisation: rows of neighbours, each normalised on its own.
//
// A warp (a block where rows are long) takes a row: once for the mean, once for the squared deviations, once to write,
// the later readings coming out of the cache. The gradients of weight and bias are sums over all rows: reductions over
// the columns [rows, n] where every element has its own parameters, else over the pixels and then the images.
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/reduction.cuh"
#include "cuda/rows.cuh"

namespace dnn::cuda {

using kernel::RowNormProblem;

// Statistics and parameters have the activations' type, but at least float; null parameters are none.
template <class S>
struct RowParameters {
  RowNormProblem problem;
  const S* weight;
  const S* bias;
  __device__ int64_t number(int64_t row, int64_t i) const {
    return row % problem.groups * (problem.n / problem.inner) + i / problem.inner;
  }
  __device__ S scale(int64_t row, int64_t i) const { return weight != nullptr ? weight[number(row, i)] : S(1); }
  __device__ S shift(int64_t row, int64_t i) const { return bias != nullptr ? bias[number(row, i)] : S(0); }
};

template <int lanes, class T>
__global__ void row_norm_forward_kernel(RowParameters<Compute<T>> parameters, const T* x, double eps, Compute<T>* mean,
                                        Compute<T>* inv_std, T* out) {
  using C = Compute<T>;
  const int64_t n = parameters.problem.n;
  for (int64_t row = Group<lanes>::first_row(); row < parameters.problem.rows; row += Group<lanes>::row_step()) {
    const T* const from = x + row * n;
    double sum = 0, squares = 0;
    visit_row<lanes>(from, n, 1, [&](C value) { sum += static_cast<double>(value); });
    const double average = Group<lanes>::reduce(sum, 0.0, Sum{}) / static_cast<double>(n);
    visit_row<lanes>(from, n, 1, [&](C value) {
      const double deviation = static_cast<double>(value) - average;
      squares += deviation * deviation;
    });
    const double variance = Group<lanes>::reduce(squares, 0.0, Sum{}) / static_cast<double>(n);
    const C m = static_cast<C>(average), deviation = static_cast<C>(1 / math::sqrt(variance + eps));
    map_row<lanes>(out + row * n, n, 1, false, from, from, [&](int64_t i, C value, C) {
      return (value - m) * (deviation * parameters.scale(row, i)) + parameters.shift(row, i);
    });
    if (Group<lanes>::lane() == 0) mean[row] = m, inv_std[row] = deviation;
  }
}

void row_norm_forward(const RowNormProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                      double eps, const Tensor& mean, const Tensor& inv_std, const Tensor& out) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    using S = Compute<T>;
    Context& context = Context::of(out);
    const int lanes = lanes_for(problem.n);
    const auto kernel = lanes == 32 ? row_norm_forward_kernel<32, T> : row_norm_forward_kernel<256, T>;
    launch(kernel, context.grid(problem.rows * lanes), context,
           RowParameters<S>{problem, elements<S>(weight), elements<S>(bias)}, elements<T>(x), eps, elements<S>(mean),
           elements<S>(inv_std), elements<T>(out));
  });
}

// inv_std (g w - mean(g w) - normalised x mean(g w normalised x)).
template <int lanes, class T>
__global__ void row_norm_backward_kernel(RowParameters<Compute<T>> parameters, const T* grad, const T* x,
                                         const Compute<T>* mean, const Compute<T>* inv_std, T* out, bool accumulate) {
  using C = Compute<T>;
  const int64_t n = parameters.problem.n;
  for (int64_t row = Group<lanes>::first_row(); row < parameters.problem.rows; row += Group<lanes>::row_step()) {
    const T *const g = grad + row * n, *const from = x + row * n;
    const C m = mean[row], deviation = inv_std[row];
    double sum = 0, product = 0;
    for (int64_t i = Group<lanes>::lane(); i < n; i += lanes) {
      const C gradient = static_cast<C>(g[i]) * parameters.scale(row, i);
      sum += static_cast<double>(gradient);
      product += static_cast<double>(gradient * (static_cast<C>(from[i]) - m) * deviation);
    }
    sum = Group<lanes>::reduce(sum, 0.0, Sum{});
    product = Group<lanes>::reduce(product, 0.0, Sum{});
    const C constant = static_cast<C>(sum / static_cast<double>(n)),
            slope = static_cast<C>(product / static_cast<double>(n));
    map_row<lanes>(out + row * n, n, 1, accumulate, g, from, [&](int64_t i, C gradient, C value) {
      return deviation * (gradient * parameters.scale(row, i) - constant - (value - m) * deviation * slope);
    });
  }
}

struct ParameterSums {
  double bias, weight;
};

// The sums of the gradient and of gradient times normalised x, an operation for `reduce`; Sink takes the results.
template <class T, class Sink>
struct ParameterOp {
  using State = ParameterSums;
  static constexpr int width = 1;
  const T* grad;
  const T* x;
  const Compute<T>* mean;
  const Compute<T>* inv_std;
  int64_t n;  // of a row
  Sink sink;

  __device__ State neutral() const { return {0, 0}; }
  __device__ State operator()(const State& a, const State& b) const { return {a.bias + b.bias, a.weight + b.weight}; }
  __device__ State element(int64_t offset, int64_t) const {
    const int64_t row = offset / n;
    const Compute<T> gradient = static_cast<Compute<T>>(grad[offset]);
    const Compute<T> normalised = (static_cast<Compute<T>>(x[offset]) - mean[row]) * inv_std[row];
    return {static_cast<double>(gradient), static_cast<double>(gradient * normalised)};
  }
  __device__ State fold(const State& state, int64_t row, int64_t length, int64_t i) const {
    return (*this)(state, element(row * length + i, i));
  }
  __device__ void store(int64_t index, const State& state) const { sink.store(index, state); }
};

// The second stage: adds up the images' sums [n, channels].
template <class Sink>
struct ImageSums {
  using State = ParameterSums;
  static constexpr int width = 1;
  const ParameterSums* sums;
  Sink sink;

  __device__ State neutral() const { return {0, 0}; }
  __device__ State operator()(const State& a, const State& b) const { return {a.bias + b.bias, a.weight + b.weight}; }
  __device__ State element(int64_t offset, int64_t) const { return sums[offset]; }
  __device__ State fold(const State& state, int64_t row, int64_t length, int64_t i) const {
    return (*this)(state, sums[row * length + i]);
  }
  __device__ void store(int64_t index, const State& state) const { sink.store(index, state); }
};

struct KeepSums {
  ParameterSums* sums;
  __device__ void store(int64_t index, const ParameterSums& state) const { sums[index] = state; }
};

template <class S>
struct StoreParameters {
  S* weight;  // null: not wanted
  S* bias;
  bool accumulate_weight, accumulate_bias;
  __device__ void store(int64_t i, const ParameterSums& state) const {
    if (weight != nullptr) weight[i] = static_cast<S>((accumulate_weight ? double{weight[i]} : 0.0) + state.weight);
    if (bias != nullptr) bias[i] = static_cast<S>((accumulate_bias ? double{bias[i]} : 0.0) + state.bias);
  }
};

void row_norm_backward(const RowNormProblem& problem, const Tensor& grad, const Tensor& x, const Tensor& weight,
                       const Tensor& mean, const Tensor& inv_std, const kernel::RowNormGradients& out) {
  visit_floating(x.dtype(), [&]<class T>(T) {
    using S = Compute<T>;
    Context& context = Context::of(x);
    if (out.input.defined()) {
      const int lanes = lanes_for(problem.n);
      const auto kernel = lanes == 32 ? row_norm_backward_kernel<32, T> : row_norm_backward_kernel<256, T>;
      launch(kernel, context.grid(problem.rows * lanes), context,
             RowParameters<S>{problem, elements<S>(weight), nullptr}, elements<T>(grad), elements<T>(x),
             elements<S>(mean), elements<S>(inv_std), elements<T>(out.input), out.accumulate_input);
    }
    if (!out.weight.defined() && !out.bias.defined()) return;
    const StoreParameters<S> store{elements<S>(out.weight), elements<S>(out.bias), out.accumulate_weight,
                                   out.accumulate_bias};
    const int64_t images = problem.rows / problem.groups, features = problem.groups * problem.n;
    const auto sums_into = [&]<class Sink>(const kernel::ReduceShape& shape, const Sink& sink) {
      reduce(context, shape,
             ParameterOp<T, Sink>{elements<T>(grad), elements<T>(x), elements<S>(mean), elements<S>(inv_std), problem.n,
                                  sink});
    };
    if (problem.inner == 1) return sums_into({1, images, features}, store);
    const int64_t channels = features / problem.inner;
    const Scratch scratch(context, images * channels * static_cast<int64_t>(sizeof(ParameterSums)));
    auto* sums = scratch.as<ParameterSums>();
    sums_into({images * channels, problem.inner, 1}, KeepSums{sums});
    reduce(context, {1, images, channels}, ImageSums<StoreParameters<S>>{sums, store});
  });
}

}  // namespace dnn::cuda
