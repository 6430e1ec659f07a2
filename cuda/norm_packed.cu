// Batch normalisation of images whose channels lie side by side, a pack of 16 bytes at a time (channels.cuh).
//
// Forward: one launch for the statistics and one that normalises, adds and applies the ReLU; x is read twice, `add`
// once. Backward: one launch for the sums of the gradient, which also gives the gradients of weight, bias and `add`,
// and one for the gradient of x; gradient and x are read twice. Where nothing was added, the ReLU's sign is computed
// anew from x by the same instructions, so that y is not read at all; else the first launch reads it, and leaves the
// gradient behind the ReLU in the gradient of `add`, from where the second one takes it.
//
// Statistics are summed in float, as differences from the first value that a thread meets, and threads are merged by
// the formula of Chan, Golub & LeVeque (1979), their means being differences from the first pixel. With r rows to a
// thread the variance is exact to about (r + log2 of the threads) 2^-24 (1 + d^2), d^2 being the mean square of those
// first values' distance from the mean, in deviations: 1 for values in any order. A mean far greater than the deviation
// costs nothing.
#include "core/storage.h"
#include "cuda/norm_packed.cuh"

namespace dnn::cuda {

// ---- forward --------------------------------------------------------------------------------------------------------

template <class T>
struct BatchMoments {
  static constexpr int width = Pack<T>::width;
  struct State {
    float count, mean[width];  // the mean as a difference from the first pixel
    float deviations[width];   // the sum of their squares
  };
  const T* x;
  StoreStatistics<float> statistics;

  __device__ State neutral() const { return {}; }
  __device__ State fold(const ChannelGrid&, const ChannelLane& at) const {
    State state{};
    if (at.count == 0) return state;
    const PackRows<T, 1> origin(x, at.pack, 0), first(x, at.first, 0);
    float sum[width] = {}, squares[width] = {};
    at.each<4>([&](auto batch, int64_t index) {
      constexpr int n = batch;
      const PackRows<T, n> values(x, index, at.stride);
      unrolled<n>([&](int i) {
        unrolled<width>([&](int k) {
          const float difference = values.at(i, k) - first.at(0, k);
          sum[k] += difference;
          squares[k] += difference * difference;
        });
      });
    });
    state.count = static_cast<float>(at.count);
    unrolled<width>([&](int k) {
      const float average = sum[k] / state.count, deviations = squares[k] - sum[k] * average;
      state.mean[k] = first.at(0, k) - origin.at(0, k) + average;
      state.deviations[k] = deviations < 0 ? 0 : deviations;
    });
    return state;
  }
  __device__ State operator()(const State& a, const State& b) const {
    State both;
    both.count = a.count + b.count;
    const float share = both.count > 0 ? b.count / both.count : 0;
    unrolled<width>([&](int k) {
      const float apart = b.mean[k] - a.mean[k];
      both.mean[k] = ::fmaf(apart, share, a.mean[k]);
      both.deviations[k] = a.deviations[k] + b.deviations[k] + (apart * share) * (apart * a.count);
    });
    return both;
  }
  __device__ void store(int64_t pack, const State& state) const {
    unrolled<width>([&](int k) {
      const int64_t c = pack * width + k;
      const double mean = static_cast<double>(static_cast<float>(x[c])) + static_cast<double>(state.mean[k]);
      statistics.store(c, mean, state.deviations[k] / statistics.count);
    });
  }
};

// `add` is null for none.
template <class T>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    batch_norm_apply_packed_kernel(ChannelGrid grid, const T* x, ChannelTransform<float> constants, const T* add,
                                   bool relu, T* out) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid, true);
  if (at.count == 0) return;
  const PackTransform<width> transform(constants, at.pack, grid.packs);
  at.each<4>([&](auto batch, int64_t index) {
    constexpr int n = batch;
    PackRows<T, n> values(x, index, at.stride), residual{};
    if (add != nullptr) residual = {add, index, at.stride};
    unrolled<n>([&](int i) {
      unrolled<width>([&](int k) {
        float value = transform(values.at(i, k), k);
        if (add != nullptr) value += residual.at(i, k);
        values.set(i, k, relu && value < 0 ? 0 : value);
      });
    });
    values.store(out, index, at.stride);
  });
}

// ---- backward -------------------------------------------------------------------------------------------------------

// Where the sign behind the ReLU comes from.
enum class Sign { none, output, input };

// Some rows of the gradient behind the activation, and of x.
template <class T, Sign sign, int n>
struct GradientRows {
  PackRows<T, n> gradient{}, x{};

  __device__ GradientRows(const T* gradients, const T* inputs, const T* outputs,
                          const PackTransform<Pack<T>::width>& transform, int64_t index, int64_t stride) {
    PackRows<T, n> y{};
    gradient = {gradients, index, stride};
    if (inputs != nullptr) x = {inputs, index, stride};
    if (sign == Sign::output) y = {outputs, index, stride};
    if (sign == Sign::none) return;
    unrolled<n>([&](int i) {
      unrolled<Pack<T>::width>([&](int k) {
        // Rounded as the output was: a tiny number may have become 0.
        const float behind = sign == Sign::output ? y.at(i, k) : static_cast<float>(T(transform(x.at(i, k), k)));
        if (!(behind > 0)) gradient.set(i, k, 0);
      });
    });
  }
};

template <class T, Sign sign>
struct GradientMoments : GradientSums<T> {
  static constexpr int width = Pack<T>::width;
  using State = typename GradientSums<T>::State;
  const T* grad;
  const T* x;
  const T* y;   // null unless the sign comes from it
  T* grad_add;  // null: not wanted

  __device__ State fold(const ChannelGrid& grid, const ChannelLane& at) const {
    State state{};
    if (at.count == 0) return state;
    const PackTransform<width> transform(this->constants, at.pack, grid.packs);
    at.each<2>([&](auto batch, int64_t index) {
      constexpr int n = batch;
      const GradientRows<T, sign, n> rows(grad, x, y, transform, index, at.stride);
      unrolled<n>([&](int i) {
        unrolled<width>([&](int k) {
          state.gradient[k] += rows.gradient.at(i, k);
          state.product[k] += rows.gradient.at(i, k) * (rows.x.at(i, k) - transform.mean[k]);
        });
      });
      if (grad_add != nullptr) rows.gradient.store(grad_add, index, at.stride);
    });
    return state;
  }
};

// `offsets` and `slopes` are null in inference, where the statistics are constants, and so is x unless its sign is
// needed; `grad_x` and `grad_add` are null when not wanted.
template <class T, Sign sign>
__global__ void __launch_bounds__(channel_threads, channel_blocks)
    batch_norm_backward_packed_kernel(ChannelGrid grid, const T* grad, const T* x, const T* y,
                                      ChannelTransform<float> constants, const float* offsets, const float* slopes,
                                      T* grad_x, bool accumulate, T* grad_add) {
  constexpr int width = Pack<T>::width;
  const ChannelLane at(grid, true);
  if (at.count == 0) return;
  const PackTransform<width> transform(constants, at.pack, grid.packs);
  const bool training = offsets != nullptr;
  const ChannelValues<width> offset(training ? offsets : constants.mean, at.pack, grid.packs);
  const ChannelValues<width> slope(training ? slopes : constants.mean, at.pack, grid.packs);
  at.each<2>([&](auto batch, int64_t index) {
    constexpr int n = batch;
    GradientRows<T, sign, n> rows(grad, x, y, transform, index, at.stride);
    PackRows<T, n> before{};
    if (accumulate) before = {grad_x, index, at.stride};
    if (grad_add != nullptr) rows.gradient.store(grad_add, index, at.stride);
    if (grad_x == nullptr) return;
    unrolled<n>([&](int i) {
      unrolled<width>([&](int k) {
        float gradient = rows.gradient.at(i, k) * transform.scale[k];
        if (training) gradient += ::fmaf(rows.x.at(i, k) - transform.mean[k], slope[k], offset[k]);
        rows.gradient.set(i, k, accumulate ? before.at(i, k) + gradient : gradient);
      });
    });
    rows.gradient.store(grad_x, index, at.stride);
  });
}

// ---- launchers ------------------------------------------------------------------------------------------------------

namespace packed {

namespace {

template <class T>
void apply(const Tensor& x, const ChannelTransform<float>& constants, const Tensor& add, Activation activation,
           const Tensor& out) {
  Context& context = Context::of(out);
  const ChannelGrid grid = grid_of<T>(context, x);
  launch(batch_norm_apply_packed_kernel<T>, grid.grid(), context, grid, elements<T>(x), constants, elements<T>(add),
         activation == Activation::relu, elements<T>(out));
}

}  // namespace

void batch_statistics(const Tensor& x, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std) {
  visit(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(x);
    const ChannelGrid grid = grid_of<T>(context, x);
    const StoreStatistics<float> statistics(running, mean, inv_std, grid.rows, eps);
    reduce_channels_last(context, grid, BatchMoments<T>{elements<T>(x), statistics});
  });
}

void batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const kernel::RunningStatistics& running, const Tensor& mean,
                      const Tensor& inv_std, const Tensor& out) {
  batch_statistics(x, eps, running, mean, inv_std);
  visit(x.dtype(), [&]<class T>(T) { apply<T>(x, transform_of(mean, inv_std, weight, bias), add, activation, out); });
}

void batch_norm_infer(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add,
                      Activation activation, double eps, const Tensor& running_mean, const Tensor& running_var,
                      const Tensor& out) {
  visit(x.dtype(), [&]<class T>(T) {
    apply<T>(x,
             {elements<float>(running_mean), nullptr, elements<float>(running_var), elements<float>(weight),
              elements<float>(bias), eps},
             add, activation, out);
  });
}

namespace {

template <class T, Sign sign>
void backward(const Tensor& grad, const Tensor& x, const Tensor& y, const ChannelTransform<float>& constants,
              bool training, const kernel::BatchNormGradients& out) {
  Context& context = Context::of(x);
  const ChannelGrid grid = grid_of<T>(context, x);
  const bool through_statistics = training && out.input.defined();
  const int64_t channels = grid.packs * Pack<T>::width;
  const Scratch scratch(context, through_statistics ? 2 * channels * static_cast<int64_t>(sizeof(float)) : 0);
  float* const offsets = through_statistics ? scratch.as<float>() : nullptr;
  float* const slopes = through_statistics ? offsets + channels : nullptr;
  const T* const outputs = sign == Sign::output ? elements<T>(y) : nullptr;
  const bool sums = through_statistics || out.weight.defined() || out.bias.defined();
  if (sums) {
    const GradientSums<T> parts{constants, store_gradients(out), static_cast<double>(grid.rows), offsets, slopes};
    reduce_channels_last(
        context, grid,
        GradientMoments<T, sign>{parts, elements<T>(grad), elements<T>(x), outputs, elements<T>(out.add)});
  }
  const bool forked = sums && out.add.defined();  // the gradient behind the activation is there
  if (!out.input.defined() && (forked || !out.add.defined())) return;
  const auto kernel =
      forked ? batch_norm_backward_packed_kernel<T, Sign::none> : batch_norm_backward_packed_kernel<T, sign>;
  const bool reads_x = through_statistics || (sign == Sign::input && !forked);
  launch(kernel, grid.grid(), context, grid, elements<T>(forked ? out.add : grad), reads_x ? elements<T>(x) : nullptr,
         forked ? nullptr : outputs, constants, offsets, slopes, elements<T>(out.input),
         out.input.defined() && out.accumulate_input, forked ? nullptr : elements<T>(out.add));
}

}  // namespace

void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& inv_std, Activation activation, bool training,
                         const kernel::BatchNormGradients& out) {
  visit(x.dtype(), [&]<class T>(T) {
    const ChannelTransform<float> constants = transform_of(mean, inv_std, weight, bias);
    if (activation == Activation::none)
      backward<T, Sign::none>(grad, x, y, constants, training, out);
    else if (bias.defined())
      backward<T, Sign::input>(grad, x, y, constants, training, out);
    else
      backward<T, Sign::output>(grad, x, y, constants, training, out);
  });
}

}  // namespace packed

}  // namespace dnn::cuda
