// Convolution, ReLU and 2x2 max pooling of small images with few channels: one launch forward, two on the way back.
//
// Where a convolution takes a few microseconds, what counts is how many launches there are, and a library's convolution
// comes with others that bring its operands into its layout and back. Here a block holds one image and all filters in
// shared memory. A thread computes a window of the pooling, four sums over a patch that stays in registers. Of the
// window one byte is kept: which of its elements won, or `nobody`, when ReLU cut all of them off.
//
// The gradient of the input is such a convolution as well: of the output's gradient, spread out to where the winners
// were, with filters turned around. The gradient of a filter's channel is a sum over the winners alone, a quarter of
// the convolution; the blocks that share one leave their parts to the last block (last_block.cuh). Every sum has a
// fixed order. All is computed in float; all tensors are plain.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/kernels/conv_pool.h"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/last_block.cuh"
#include "cuda/reduce.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

inline constexpr int pool_threads = 256;
inline constexpr int most_pixels = 6144, most_weights = 4096;  // that shared memory holds
inline constexpr int64_t most_products = int64_t{1} << 19;     // of an image: beyond that tensor cores pay
inline constexpr uint8_t nobody = 4;

struct ConvPoolSizes {
  int64_t n;
  int channels, height, width;  // of the input
  int filters, padding;         // of the convolution
  int rows, columns;            // of the pooled output
  __host__ __device__ int windows() const { return rows * columns; }
};

// `maps` images of one size in shared memory, and the filters over them.
struct SharedMaps {
  float* pixels;
  float* filters;
  int maps, height, width;

  __device__ SharedMaps(int count, int rows, int columns) : maps(count), height(rows), width(columns) {
    struct Pixels;
    struct Filters;
    pixels = block_shared<float, most_pixels, Pixels>();
    filters = block_shared<float, most_weights, Filters>();
  }
  __device__ int numel() const { return maps * height * width; }

  // The sums of filter number `filter` at the four positions of the window that begins at (row, column).
  template <int k>
  __device__ void window_sums(int filter, int row, int column, float (&sums)[4]) const {
    for (int map = 0; map < maps; ++map) {
      const float* corner = pixels + (map * height + row) * width + column;
      const float* weights = filters + (filter * maps + map) * k * k;
      float patch[k + 1][k + 1];
      for (int r = 0; r <= k; ++r) {
        for (int s = 0; s <= k; ++s) patch[r][s] = corner[r * width + s];
      }
      for (int r = 0; r < k; ++r) {
        for (int s = 0; s < k; ++s) {
          const float weight = weights[r * k + s];
          for (int i = 0; i < 4; ++i) sums[i] += weight * patch[r + i / 2][s + i % 2];
        }
      }
    }
  }
};

// The first largest of four, NaN being larger than all.
struct Largest {
  float value;
  int position;
  __device__ explicit Largest(const float (&values)[4]) : value(values[0]), position(0) {
    for (int i = 1; i < 4; ++i) {
      if (value == value && !(values[i] <= value)) value = values[i], position = i;
    }
  }
};

// Channels [first, first + maps.maps) of an image with a border of zeros.
template <class T>
__device__ void load_channels(const T* image, int first, const ConvPoolSizes& sizes, float* pixels, int maps,
                              int height, int width) {
  for (int i = static_cast<int>(threadIdx.x); i < maps * height * width; i += pool_threads) {
    const int row = i / width % height - sizes.padding, column = i % width - sizes.padding;
    const bool inside = 0 <= row && row < sizes.height && 0 <= column && column < sizes.width;
    const int channel = first + i / (height * width);
    pixels[i] = inside ? static_cast<float>(image[(channel * sizes.height + row) * sizes.width + column]) : 0.0f;
  }
}

template <int k, class T>
__global__ void conv_pool_forward_kernel(ConvPoolSizes sizes, const T* x, const T* weight, const T* bias, bool relu,
                                         T* out, uint8_t* winners) {
  const SharedMaps maps(sizes.channels, sizes.height + 2 * sizes.padding, sizes.width + 2 * sizes.padding);
  const int weights = sizes.filters * sizes.channels * k * k, outputs = sizes.filters * sizes.windows();
  for (int i = static_cast<int>(threadIdx.x); i < weights; i += pool_threads)
    maps.filters[i] = static_cast<float>(weight[i]);
  for (int64_t n = blockIdx.x; n < sizes.n; n += gridDim.x) {
    __syncthreads();  // the image before has been read
    load_channels(x + n * sizes.channels * sizes.height * sizes.width, 0, sizes, maps.pixels, maps.maps, maps.height,
                  maps.width);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < outputs; i += pool_threads) {
      const int filter = i / sizes.windows(), row = i / sizes.columns % sizes.rows, column = i % sizes.columns;
      float sums[4] = {};
      maps.window_sums<k>(filter, 2 * row, 2 * column, sums);
      const Largest winner(sums);
      const T best = static_cast<T>(winner.value + (bias != nullptr ? static_cast<float>(bias[filter]) : 0.0f));
      const bool positive = static_cast<float>(best) > 0;  // as it is stored: a tiny number may have become 0
      out[n * outputs + i] = relu && static_cast<float>(best) < 0 ? T(0.0f) : best;
      if (winners != nullptr)
        winners[n * outputs + i] = relu && !positive ? nobody : static_cast<uint8_t>(winner.position);
    }
  }
}

// Spreads the gradient of an image out to the winners.
template <class T>
__device__ void load_gradient(const ConvPoolSizes& sizes, const T* grad, const uint8_t* winners, int border,
                              const SharedMaps& maps) {
  for (int i = static_cast<int>(threadIdx.x); i < maps.numel(); i += pool_threads) maps.pixels[i] = 0;
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < sizes.filters * sizes.windows(); i += pool_threads) {
    const int filter = i / sizes.windows(), winner = winners[i];
    if (winner == nobody) continue;
    const int row = border + 2 * (i / sizes.columns % sizes.rows) + winner / 2;
    const int column = border + 2 * (i % sizes.columns) + winner % 2;
    maps.pixels[(filter * maps.height + row) * maps.width + column] = static_cast<float>(grad[i]);
  }
}

template <int k, class T>
__global__ void conv_pool_backward_data_kernel(ConvPoolSizes sizes, const T* grad, const uint8_t* winners,
                                               const T* weight, T* grad_input, bool accumulate) {
  const int rows = (sizes.height + 1) / 2, columns = (sizes.width + 1) / 2;  // windows of the input
  const SharedMaps maps(sizes.filters, 2 * rows + k - 1, 2 * columns + k - 1);
  const int weights = sizes.filters * sizes.channels * k * k, outputs = sizes.filters * sizes.windows();
  for (int i = static_cast<int>(threadIdx.x); i < weights; i += pool_threads) {
    const int tap = i % (k * k), channel = i / (k * k) % sizes.channels, filter = i / (k * k * sizes.channels);
    maps.filters[(channel * sizes.filters + filter) * k * k + k * k - 1 - tap] = static_cast<float>(weight[i]);
  }
  for (int64_t n = blockIdx.x; n < sizes.n; n += gridDim.x) {
    __syncthreads();  // the gradient before has been read
    load_gradient(sizes, grad + n * outputs, winners + n * outputs, k - 1 - sizes.padding, maps);
    __syncthreads();
    T* const image = grad_input + n * sizes.channels * sizes.height * sizes.width;
    for (int i = static_cast<int>(threadIdx.x); i < sizes.channels * rows * columns; i += pool_threads) {
      const int channel = i / (rows * columns), row = 2 * (i / columns % rows), column = 2 * (i % columns);
      float sums[4] = {};
      maps.window_sums<k>(channel, row, column, sums);
      for (int j = 0; j < 4; ++j) {
        const int h = row + j / 2, w = column + j % 2;
        if (h >= sizes.height || w >= sizes.width) continue;
        T& to = image[(channel * sizes.height + h) * sizes.width + w];
        to = static_cast<T>(accumulate ? static_cast<float>(to) + sums[j] : sums[j]);
      }
    }
  }
}

// How the blocks share the gradient of the weights: `chunks` blocks for each channel of each filter, each with so many
// images, of which so many are in shared memory at a time.
struct ConvPoolShare {
  int chunks, images, together;
};

// body(0), body(1), ... with constants: what they index stays in registers.
template <int count, class Body>
__device__ void with_constants(const Body& body) {
  const auto call = [&]<int... i>(std::integer_sequence<int, i...>) { (body(std::integral_constant<int, i>{}), ...); };
  call(std::make_integer_sequence<int, count>{});
}

// The sum of what the threads of a block have found for each tap, and for the bias behind them.
template <int count>
__device__ void store_block_sums(const float (&sums)[count], float* to) {
  struct Partials;
  float* partials = block_shared<float, pool_threads / 32 * count, Partials>();
  with_constants<count>([&](auto t) {
    const float sum = warp_reduce(sums[t()], Sum{});
    if (threadIdx.x % 32 == 0) partials[threadIdx.x / 32 * count + t()] = sum;
  });
  __syncthreads();
  for (int t = static_cast<int>(threadIdx.x); t < count; t += pool_threads) {
    float total = 0;
    for (int warp = 0; warp < pool_threads / 32; ++warp) total += partials[warp * count + t];
    to[t] = total;
  }
}

template <int k, class T>
__global__ void conv_pool_backward_weight_kernel(ConvPoolSizes sizes, ConvPoolShare share, const T* x, const T* grad,
                                                 const uint8_t* winners, T* grad_weight, bool accumulate_weight,
                                                 T* grad_bias, bool accumulate_bias, float* partials,
                                                 unsigned* ticket) {
  constexpr int taps = k * k, kept = taps + 1;
  struct Pixels;
  float* const pixels = block_shared<float, most_pixels, Pixels>();
  const int height = sizes.height + 2 * sizes.padding, width = sizes.width + 2 * sizes.padding;
  const int pairs = sizes.filters * sizes.channels, windows = sizes.windows();
  const int pair = static_cast<int>(blockIdx.x) % pairs, chunk = static_cast<int>(blockIdx.x) / pairs;
  const int filter = pair / sizes.channels, channel = pair % sizes.channels;
  const int64_t behind = int64_t{chunk + 1} * share.images, end = behind < sizes.n ? behind : sizes.n;
  float sums[kept] = {};
  for (int64_t first = int64_t{chunk} * share.images; first < end; first += share.together) {
    const int images = static_cast<int>(end - first < share.together ? end - first : share.together);
    __syncthreads();  // the images before have been read
    for (int image = 0; image < images; ++image) {
      load_channels(x + (first + image) * sizes.channels * sizes.height * sizes.width, channel, sizes,
                    pixels + image * height * width, 1, height, width);
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < images * windows; i += pool_threads) {
      const int image = i / windows, window = i % windows;
      const int64_t at = ((first + image) * sizes.filters + filter) * windows + window;
      const int winner = winners[at];
      if (winner == nobody) continue;
      const int row = 2 * (window / sizes.columns) + winner / 2, column = 2 * (window % sizes.columns) + winner % 2;
      const float* corner = pixels + (image * height + row) * width + column;
      const float slope = static_cast<float>(grad[at]);
      with_constants<taps>([&](auto t) { sums[t()] += slope * corner[t() / k * width + t() % k]; });
      sums[taps] += slope;
    }
  }
  store_block_sums(sums, partials + int64_t{blockIdx.x} * kept);
  if (!is_last_block(ticket, gridDim.x)) return;
  const auto add_up = [&](int pair_of, int tap, T* to, bool accumulate) {
    float total = accumulate ? static_cast<float>(*to) : 0.0f;
    for (int c = 0; c < share.chunks; ++c) total += partials[int64_t{c * pairs + pair_of} * kept + tap];
    *to = static_cast<T>(total);
  };
  for (int i = static_cast<int>(threadIdx.x); grad_weight != nullptr && i < pairs * taps; i += pool_threads)
    add_up(i / taps, i % taps, grad_weight + i, accumulate_weight);
  for (int i = static_cast<int>(threadIdx.x); grad_bias != nullptr && i < sizes.filters; i += pool_threads)
    add_up(i * sizes.channels, taps, grad_bias + i, accumulate_bias);
}

namespace {

ConvPoolSizes sizes_of(const kernel::ConvPoolProblem& p) {
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  return {.n = p.conv.input[0],
          .channels = number(p.conv.input[1]),
          .height = number(p.conv.input[2]),
          .width = number(p.conv.input[3]),
          .filters = number(p.conv.weight[0]),
          .padding = number(p.conv.padding.h),
          .rows = number(p.pool.output[2]),
          .columns = number(p.pool.output[3])};
}

// Calls visit(T{}, the size of the filter as a constant).
template <class Visit>
void visit_problem(const kernel::ConvPoolProblem& p, const Visit& visit) {
  visit_types<float, float16, bfloat16>(p.conv.dtype, [&]<class T>(T value) {
    if (p.conv.weight[2] == 3)
      visit(value, std::integral_constant<int, 3>{});
    else
      visit(value, std::integral_constant<int, 5>{});
  });
}

Grid block_per_image(const Context& context, int64_t n) {
  const Grid most = context.grid(n * pool_threads, pool_threads);
  return {most.blocks, pool_threads};
}

}  // namespace

void conv2d_pool_fits(const kernel::ConvPoolProblem& p, bool* fits) {
  const kernel::ConvProblem& c = p.conv;
  const int64_t k = c.weight[2], channels = c.input[1], filters = c.weight[0];
  const bool typed = c.dtype == DType::float32 || c.dtype == DType::float16 || c.dtype == DType::bfloat16;
  const bool plain_filter = c.weight[3] == k && (k == 3 || k == 5) && c.stride == 1 && c.dilation == 1 && c.groups == 1;
  const bool padded = c.padding.h == c.padding.w && c.padding.h < k;
  const bool pooled = p.pool.kernel == 2 && p.pool.stride == 2 && p.pool.padding == 0 && !p.pool.adaptive;
  *fits = typed && plain_filter && padded && pooled && p.activation != Activation::gelu_tanh && c.input[0] > 0;
  // Sizes beyond these would overflow what follows.
  if (!*fits || c.input[2] > most_pixels || c.input[3] > most_pixels || channels > most_pixels || filters > most_pixels)
    return void(*fits = false);
  const int64_t rows = c.input[2] + 2 * c.padding.h, columns = c.input[3] + 2 * c.padding.w;
  const int64_t back_rows = (c.input[2] + 1) / 2 * 2 + k - 1, back_columns = (c.input[3] + 1) / 2 * 2 + k - 1;
  const int64_t products = c.output.numel() / c.input[0] * channels * k * k;
  *fits = channels * rows * columns <= most_pixels && filters * back_rows * back_columns <= most_pixels &&
          filters * channels * k * k <= most_weights && products <= most_products;
}

void conv2d_pool_forward(const kernel::ConvPoolProblem& problem, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const Tensor& out, const Tensor& winners) {
  visit_problem(problem, [&]<class T>(T, auto k) {
    Context& context = Context::of(out);
    const ConvPoolSizes sizes = sizes_of(problem);
    launch(conv_pool_forward_kernel<k(), T>, block_per_image(context, sizes.n), context, sizes, elements<T>(x),
           elements<T>(weight), elements<T>(bias), problem.activation == Activation::relu, elements<T>(out),
           elements<uint8_t>(winners));
  });
}

void conv2d_pool_backward_data(const kernel::ConvPoolProblem& problem, const Tensor& grad_output, const Tensor& winners,
                               const Tensor& weight, const Tensor& grad_input, bool accumulate) {
  visit_problem(problem, [&]<class T>(T, auto k) {
    Context& context = Context::of(grad_input);
    const ConvPoolSizes sizes = sizes_of(problem);
    launch(conv_pool_backward_data_kernel<k(), T>, block_per_image(context, sizes.n), context, sizes,
           elements<T>(grad_output), elements<uint8_t>(winners), elements<T>(weight), elements<T>(grad_input),
           accumulate);
  });
}

void conv2d_pool_backward_weight(const kernel::ConvPoolProblem& problem, const Tensor& x, const Tensor& grad_output,
                                 const Tensor& winners, const Tensor& grad_weight, bool accumulate_weight,
                                 const Tensor& grad_bias, bool accumulate_bias) {
  visit_problem(problem, [&]<class T>(T, auto k) {
    Context& context = Context::of(grad_output);
    const ConvPoolSizes sizes = sizes_of(problem);
    const int pairs = sizes.filters * sizes.channels;
    const int pixels = (sizes.height + 2 * sizes.padding) * (sizes.width + 2 * sizes.padding);
    const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    const int64_t wanted = std::min(ceil_div(2 * context.multiprocessors(), pairs), sizes.n);
    const int64_t images = ceil_div(sizes.n, wanted), chunks = ceil_div(sizes.n, images);
    const ConvPoolShare share{static_cast<int>(chunks), static_cast<int>(images), most_pixels / pixels};
    const Grid grid{static_cast<unsigned>(pairs * share.chunks), pool_threads};
    const Scratch partials(context, int64_t{grid.blocks} * (k() * k() + 1) * static_cast<int64_t>(sizeof(float)));
    launch(conv_pool_backward_weight_kernel<k(), T>, grid, context, sizes, share, elements<T>(x),
           elements<T>(grad_output), elements<uint8_t>(winners), elements<T>(grad_weight), accumulate_weight,
           elements<T>(grad_bias), accumulate_bias, partials.as<float>(), context.tickets());
  });
}

}  // namespace dnn::cuda
