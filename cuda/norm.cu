// Batch normalisation of images in any type and layout; those whose channels lie side by side in whole packs go to
// norm_packed.cu, or in training to cuDNN where that is faster (norm_choice.h).
//
// Forward: one reduction over everything but the channels gives the sums of x and of x^2, in float64, and its last
// launch turns them into mean and deviation and moves the running statistics; a second pass normalises and applies the
// residual and the activation. Backward: one reduction gives the sums of the gradient and of gradient times normalised
// x, a second pass writes the gradient of x (and of the residual). In plain layout the reduction first takes the pixels
// of each image and channel, then the images.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/layout.cuh"
#include "cuda/norm.cuh"
#include "cuda/norm_choice.h"
#include "cuda/reduction.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

struct TwoSums {
  double first, second;
};

// ---- sums over everything but the channels --------------------------------------------------------------------------

// What to sum: the sums of x and x^2 of an element.
template <class T>
struct Moments {
  const T* x;
  __device__ TwoSums at(int64_t offset, int64_t) const {
    const double value = static_cast<double>(static_cast<Compute<T>>(x[offset]));
    return {value, value * value};
  }
};

// The gradient behind the activation, and its product with the normalised x.
template <class T>
struct GradientMoments {
  const T* grad;
  const T* x;
  const T* y;  // null: no activation
  const Statistic<T>* mean;
  const Statistic<T>* inv_std;
  __device__ TwoSums at(int64_t offset, int64_t c) const {
    if (y != nullptr && !(static_cast<Compute<T>>(y[offset]) > 0)) return {0, 0};
    const double gradient = static_cast<double>(static_cast<Compute<T>>(grad[offset]));
    const auto centred = static_cast<Compute<T>>(x[offset]) - mean[c];
    return {gradient, gradient * static_cast<double>(centred * inv_std[c])};
  }
};

// Sums as they are, and what they mean.
template <class S>
struct FinishStatistics {
  StoreStatistics<S> statistics;
  __device__ void store(int64_t c, const TwoSums& sums) const {
    const double count = statistics.count, average = sums.first / count,
                 square = sums.second / count - average * average;
    statistics.store(c, average, square > 0 || square != square ? square : 0);
  }
};

template <class S>
struct FinishGradients {
  TwoSums* sums;  // for the second pass
  StoreGradients<S> gradients;
  __device__ void store(int64_t c, const TwoSums& state) const {
    sums[c] = state;
    gradients.store(c, state.first, state.second);
  }
};

struct StorePartial {
  TwoSums* sums;
  __device__ void store(int64_t index, const TwoSums& state) const { sums[index] = state; }
};

// An operation for `reduce`: Source gives the two sums of an element of the images, Sink takes the results.
template <class Source, class Sink>
struct ChannelSums {
  using State = TwoSums;
  static constexpr int width = 1;
  Images images;
  Source source;
  Sink sink;

  __device__ State neutral() const { return {0, 0}; }
  __device__ State operator()(const State& a, const State& b) const { return {a.first + b.first, a.second + b.second}; }
  __device__ State element(int64_t offset, int64_t) const { return source.at(offset, images.channel(offset)); }
  __device__ State fold(const State& state, int64_t row, int64_t n, int64_t i) const {
    return (*this)(state, element(row * n + i, i));
  }
  __device__ void store(int64_t index, const State& state) const { sink.store(index, state); }
};

// The second stage: adds up the images' sums [n, channels].
struct PartialSums {
  const TwoSums* sums;
  __device__ TwoSums at(int64_t offset, int64_t) const { return sums[offset]; }
};

namespace {

template <class Source, class Sink>
void reduce_channels(Context& context, const Images& images, const Source& source, const Sink& sink) {
  if (images.layout == detail::Layout::channels_last || images.pixels == 1) {
    reduce(context, {1, images.n * images.pixels, images.channels}, ChannelSums<Source, Sink>{images, source, sink});
    return;
  }
  const int64_t block = images.block(), groups = images.n * (images.channels / block);
  const Scratch scratch(context, images.n * images.channels * static_cast<int64_t>(sizeof(TwoSums)));
  auto* sums = scratch.as<TwoSums>();
  reduce(context, {groups, images.pixels, block}, ChannelSums<Source, StorePartial>{images, source, {sums}});
  reduce(context, {1, images.n, images.channels}, ChannelSums<PartialSums, Sink>{images, {sums}, sink});
}

}  // namespace

// ---- forward --------------------------------------------------------------------------------------------------------

// `add` is null for none.
template <class T>
__global__ void batch_norm_apply_kernel(Images images, const T* x, ChannelTransform<Statistic<T>> transform,
                                        const T* add, bool relu, T* out) {
  using C = Compute<T>;
  const int64_t n = images.numel();
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> pack = load_vec(x, i, n), residual{};
    if (add != nullptr) residual = load_vec(add, i, n);
    for (int k = 0; k < Pack<T>::width; ++k) {
      const int64_t element = i * Pack<T>::width + k;
      if (element >= n) break;
      const int64_t c = images.channel(element);
      C value = (static_cast<C>(pack.values[k]) - transform.mean[c]) * transform.deviation(c) * transform.weight[c] +
                transform.bias[c];
      if (add != nullptr) value += static_cast<C>(residual.values[k]);
      pack.values[k] = static_cast<T>(relu && value < C(0) ? C(0) : value);
    }
    store_vec(out, i, n, pack);
  }
}

namespace {

template <class T>
void apply(const Tensor& x, const ChannelTransform<Statistic<T>>& transform, const Tensor& add, Activation activation,
           const Tensor& out) {
  Context& context = Context::of(out);
  launch(batch_norm_apply_kernel<T>, context.grid(pack_count<T>(x.numel())), context, images_of(x), elements<T>(x),
         transform, elements<T>(add), activation == Activation::relu, elements<T>(out));
}

}  // namespace

void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std, const Tensor& out) {
  if (packed::fit(Context::of(out), {x, add, out})) {
    if (!try_norm_train(x, weight, bias, add, activation, eps, running, mean, inv_std, out))
      packed::batch_norm_train(x, weight, bias, add, activation, eps, running, mean, inv_std, out);
    return;
  }
  visit_floating(x.dtype(), [&]<class T>(T) {
    using S = Statistic<T>;
    const Images images = images_of(x);
    const StoreStatistics<S> statistics(running, mean, inv_std, images.n * images.pixels, eps);
    reduce_channels(Context::of(out), images, Moments<T>{elements<T>(x)}, FinishStatistics<S>{statistics});
    apply<T>(x, {elements<S>(mean), elements<S>(inv_std), nullptr, elements<S>(weight), elements<S>(bias), eps}, add,
             activation, out);
  });
}

void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& out) {
  if (packed::fit(Context::of(out), {x, add, out}))
    return packed::batch_norm_infer(x, weight, bias, add, activation, eps, running_mean, running_var, out);
  visit_floating(x.dtype(), [&]<class T>(T) {
    using S = Statistic<T>;
    apply<T>(
        x, {elements<S>(running_mean), nullptr, elements<S>(running_var), elements<S>(weight), elements<S>(bias), eps},
        add, activation, out);
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------

// `sums` is null in inference, where the statistics are constants; `grad_x` and `grad_add` are null when not wanted.
template <class T>
__global__ void batch_norm_backward_kernel(Images images, const T* grad, const T* x, const T* y,
                                           ChannelTransform<Statistic<T>> transform, const TwoSums* sums, double count,
                                           T* grad_x, bool accumulate, T* grad_add) {
  using C = Compute<T>;
  const int64_t n = images.numel();
  for (const auto i : grid_stride(pack_count<T>(n))) {
    Pack<T> upstream = load_vec(grad, i, n), result{}, outputs{}, inputs{};
    if (y != nullptr) outputs = load_vec(y, i, n);
    if (grad_x != nullptr && sums != nullptr) inputs = load_vec(x, i, n);
    if (grad_x != nullptr && accumulate) result = load_vec(grad_x, i, n);
    for (int k = 0; k < Pack<T>::width; ++k) {
      const int64_t element = i * Pack<T>::width + k;
      if (element >= n) break;
      if (y != nullptr && !(static_cast<C>(outputs.values[k]) > C(0))) upstream.values[k] = T(0.0f);
      if (grad_x == nullptr) continue;
      const int64_t c = images.channel(element);
      C gradient = static_cast<C>(upstream.values[k]);
      if (sums != nullptr) {
        const C normalised = (static_cast<C>(inputs.values[k]) - transform.mean[c]) * transform.inv_std[c];
        gradient -= static_cast<C>(sums[c].first / count) + normalised * static_cast<C>(sums[c].second / count);
      }
      gradient *= transform.weight[c] * transform.inv_std[c];
      result.values[k] = static_cast<T>(static_cast<C>(result.values[k]) + gradient);
    }
    if (grad_add != nullptr) store_vec(grad_add, i, n, upstream);
    if (grad_x != nullptr) store_vec(grad_x, i, n, result);
  }
}

void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& inv_std, Activation activation, bool training,
                         const kernel::BatchNormGradients& out) {
  if (packed::fit(Context::of(x), {x, grad, y, out.input, out.add})) {
    if (!training || !try_norm_backward(grad, x, y, weight, bias, mean, inv_std, activation, out))
      packed::batch_norm_backward(grad, x, y, weight, bias, mean, inv_std, activation, training, out);
    return;
  }
  visit_floating(x.dtype(), [&]<class T>(T) {
    using S = Statistic<T>;
    Context& context = Context::of(x);
    const Images images = images_of(x);
    const T* outputs = activation == Activation::relu ? elements<T>(y) : nullptr;
    const bool through_statistics = training && out.input.defined();
    const Scratch scratch(context, images.channels * static_cast<int64_t>(sizeof(TwoSums)));
    if (through_statistics || out.weight.defined() || out.bias.defined()) {
      reduce_channels(
          context, images,
          GradientMoments<T>{elements<T>(grad), elements<T>(x), outputs, elements<S>(mean), elements<S>(inv_std)},
          FinishGradients<S>{
              scratch.as<TwoSums>(),
              {elements<S>(out.weight), elements<S>(out.bias), out.accumulate_weight, out.accumulate_bias}});
    }
    if (!out.input.defined() && !out.add.defined()) return;
    const ChannelTransform<S> transform{
        elements<S>(mean), elements<S>(inv_std), nullptr, elements<S>(weight), nullptr, 0};
    launch(batch_norm_backward_kernel<T>, context.grid(pack_count<T>(x.numel())), context, images, elements<T>(grad),
           elements<T>(x), outputs, transform, through_statistics ? scratch.as<TwoSums>() : nullptr,
           static_cast<double>(images.n * images.pixels), elements<T>(out.input), out.accumulate_input,
           elements<T>(out.add));
  });
}

}  // namespace dnn::cuda
