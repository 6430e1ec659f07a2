// Direct float32 convolution of few channels: first layers and small nets, where a library loses more time than the
// products take.
//
// All passes see the image as a canvas: channels innermost, the border of zeros written out. There the taps of a filter
// row are neighbours, and so are those of all filter rows after one step along the image: a tap is an offset. Filters
// lie in vectors. Forward holds a few pixels times one or two vectors of filters in registers while it walks over the
// taps; the weight's gradient holds a few taps while it walks over the pixels; the data's gradient holds the taps
// of one pixel in vectors while it walks over the filters, and adds them to the canvas.
//
// Sums are split by the sizes alone, never by the number of threads.
#pragma once

#include "core/cpu/conv.h"
#include "core/cpu/simd/channels.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

[[gnu::always_inline]] inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// A problem without groups under the usual names, and its canvas.
struct SmallConv {
  explicit SmallConv(const kernel::ConvProblem& p)
      : n(p.input[0]),
        c(p.input[1]),
        h(p.input[2]),
        w(p.input[3]),
        k(p.output[1]),
        oh(p.output[2]),
        ow(p.output[3]),
        r(p.weight[2]),
        s(p.weight[3]),
        stride(p.stride),
        padding(p.padding),
        dilation(p.dilation),
        pitch(((ow - 1) * stride.w + (s - 1) * dilation.w + 1) * c),
        vectors(ceil_div(k, vector_lanes)) {}

  int64_t taps() const { return r * s * c; }
  int64_t canvas_rows(int64_t output_rows) const { return (output_rows - 1) * stride.h + (r - 1) * dilation.h + 1; }
  // From one pixel of the output to the next, and from one row.
  int64_t step() const { return stride.w * c; }
  int64_t row_step() const { return stride.h * pitch; }
  // Neighbouring taps come in `runs` of the same length; tap number (row * s + column) * c + channel.
  bool whole_rows() const { return dilation.w == 1; }
  int64_t runs() const { return whole_rows() ? r : r * s; }
  int64_t run_length() const { return whole_rows() ? s * c : c; }
  int64_t run_offset(int64_t run) const {
    return whole_rows() ? run * dilation.h * pitch : run / s * dilation.h * pitch + run % s * dilation.w * c;
  }
  int64_t tap_offset(int64_t tap) const {
    return tap / (s * c) * dilation.h * pitch + tap / c % s * dilation.w * c + tap % c;
  }
  int64_t macs() const { return n * oh * ow * taps() * k; }

  int64_t n, c, h, w, k, oh, ow, r, s;
  Size2 stride, padding, dilation;
  int64_t pitch;    // floats of a row of the canvas
  int64_t vectors;  // that hold the filters
};

// Where the channels of one image lie: block b of `width` channels at image + b * pixels * width.
struct ImageLayout {
  ImageLayout(const Tensor& x, int64_t channels, int64_t image_pixels)
      : width(detail::layout_of(x) == detail::Layout::blocked16  ? 16
              : detail::layout_of(x) == detail::Layout::blocked8 ? 8
              : detail::layout_of(x) == detail::Layout::plain    ? 1
                                                                 : channels),
        blocks(channels / width),
        pixels(image_pixels) {}
  bool channels_innermost() const { return blocks == 1; }
  int64_t image_size() const { return blocks * pixels * width; }
  int64_t width, blocks, pixels;
};

// Calls body(slot, begin, end) for parts of [0, n), where no two of them with the same slot < thread_count() run at the
// same time.
template <class Body>
[[gnu::always_inline]] inline void parallel_slots(int64_t n, int64_t slots, int64_t work, const Body& body) {
  const int64_t part = ceil_div(n, slots);
  parallel(slots, work, 1, [&](int64_t first, int64_t last) {
    for (int64_t slot = first; slot < last; ++slot) {
      if (slot * part < n) body(slot, slot * part, smaller(slot * part + part, n));
    }
  });
}

// Vectors of products that are worth as much as one element of a plain loop.
[[gnu::always_inline]] inline int64_t work_of(const SmallConv& p) { return p.macs() / vector_lanes; }

// Bands of output rows of every image, a task each, whose canvas stays in the first-level cache where it can.
struct Bands {
  Bands(const SmallConv& p, int64_t least) : rows(p.oh) {
    constexpr int64_t most_floats = 6144;
    const int64_t fitting = (most_floats / p.pitch - (p.r - 1) * p.dilation.h - 1) / p.stride.h + 1;
    rows = smaller(rows, larger(1, smaller(fitting, ceil_div(p.oh, larger(1, least / p.n)))));
    per_image = ceil_div(p.oh, rows);
  }
  int64_t rows, per_image;
};

// The part of an image that a band of output rows needs.
[[gnu::noinline]] inline void fill_canvas(const SmallConv& p, const float* image, const ImageLayout& layout,
                                          int64_t first_row, int64_t rows, float* canvas) {
  const int64_t columns = p.pitch / p.c, left = smaller(p.padding.w, columns);
  const int64_t inside = larger(0, smaller(columns - left, p.w));
  for (int64_t row = 0; row < rows; ++row, canvas += p.pitch) {
    const int64_t from_row = first_row + row;
    if (from_row < 0 || from_row >= p.h) {
      for (int64_t i = 0; i < p.pitch; ++i) canvas[i] = 0;
      continue;
    }
    for (int64_t i = 0; i < left * p.c; ++i) canvas[i] = 0;
    for (int64_t b = 0; b < layout.blocks; ++b) {
      const float* const from = image + (b * layout.pixels + from_row * p.w) * layout.width;
      float* const to = canvas + left * p.c + b * layout.width;
      if (layout.channels_innermost()) {
        for (int64_t i = 0; i < inside * p.c; ++i) to[i] = from[i];
      } else if (layout.width == 1) {
        for (int64_t i = 0; i < inside; ++i) to[i * p.c] = from[i];
      } else {
        for (int64_t i = 0; i < inside; ++i)
          for (int64_t j = 0; j < layout.width; ++j) to[i * p.c + j] = from[i * layout.width + j];
      }
    }
    for (int64_t i = (left + inside) * p.c; i < p.pitch; ++i) canvas[i] = 0;
  }
}

// The canvas of a band: within the image itself where that is laid out like it, else written to `memory`.
struct CanvasSource {
  CanvasSource(SmallConv& p, const Tensor& x) : image(pointer<float>(x)), layout(x, p.c, p.h * p.w) {
    direct = layout.channels_innermost() && p.padding.h == 0 && p.padding.w == 0;
    if (direct) p.pitch = p.w * p.c;
  }
  const float* operator()(const SmallConv& p, int64_t number, int64_t first_output_row, int64_t output_rows,
                          float* memory) const {
    const float* const from = image + number * layout.image_size();
    const int64_t row = first_output_row * p.stride.h - p.padding.h;
    if (direct) return from + row * p.pitch;
    fill_canvas(p, from, layout, row, p.canvas_rows(output_rows), memory);
    return memory;
  }
  const float* image;
  ImageLayout layout;
  bool direct;
};

inline int64_t* tap_offsets(const SmallConv& p, const Scratch<int64_t>& memory) {
  int64_t* const offsets = memory.data();
  for (int64_t tap = 0; tap < p.taps(); ++tap) offsets[tap] = p.tap_offset(tap);
  return offsets;
}

// The filters in pairs of vectors, the last one alone when their number is odd: [pair][tap][vector][lane].
inline void pack_filters(const SmallConv& p, const float* weight, float* packed) {
  const int64_t plane = p.r * p.s;
  for (int64_t k = 0; k < p.k; ++k) {
    const int64_t vector = k / vector_lanes, pair = vector / 2, width = smaller(2, p.vectors - pair * 2) * vector_lanes;
    float* const to = packed + pair * 2 * vector_lanes * p.taps() + vector % 2 * vector_lanes + k % vector_lanes;
    for (int64_t c = 0; c < p.c; ++c)
      for (int64_t i = 0; i < plane; ++i) to[(i * p.c + c) * width] = weight[(k * p.c + c) * plane + i];
  }
}

// What the pixels of one row share.
template <int vectors>
struct ForwardRow {
  const float* weight;
  const int64_t* offsets;  // of the taps
  Vector bias[vectors];
  float* out[vectors];  // of the row's first pixel
  int64_t width;        // from one pixel to the next
  int64_t lanes;        // of the last vector that are filters
  int64_t whole;        // pixels of which it can be written as a whole without leaving the row
  Vector floor;         // of the results
};

template <int pixels, int vectors>
[[gnu::always_inline]] inline void forward_tile(const SmallConv& p, const ForwardRow<vectors>& row, const float* canvas,
                                                int64_t first) {
  const int64_t step = p.step(), taps = p.taps();
  Vector sums[pixels][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < pixels; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sums[i][v] = row.bias[v];
  const float* const pixel = canvas + first * step;
  const float* weight = row.weight;
  for (int64_t tap = 0; tap < taps; ++tap, weight += vectors * vector_lanes) {
    Vector filters[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) filters[v] = load_vector(weight + v * vector_lanes);
    // Three pixels from one pointer: more would not fit into the registers.
    const float* x = pixel + row.offsets[tap];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sums[i][v] += filters[v] * x[i % 3 * step];
      if (i % 3 == 2) x += 3 * step;
    }
  }
  // Lanes beyond the filters fall on the next pixels, which are written later.
  const bool whole = first + pixels <= row.whole;
#pragma GCC unroll 16
  for (int i = 0; i < pixels; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      const Vector value = sums[i][v] < row.floor ? row.floor : sums[i][v];  // NaN stays NaN
      float* const to = row.out[v] + (first + i) * row.width;
      if (whole || v + 1 < vectors || first + i < row.whole) {
        store_vector(to, value);
      } else {
        for (int64_t lane = 0; lane < row.lanes; ++lane) to[lane] = value[lane];
      }
    }
  }
}

template <int pixels, int vectors>
[[gnu::noinline]] void forward_row(const SmallConv& p, const ForwardRow<vectors>& row, const float* canvas) {
  for (int64_t first = 0; first < p.ow; first += pixels)
    forward_tile<pixels>(p, row, canvas, smaller(first, p.ow - pixels));  // the last tile begins within its neighbour
}

template <int vectors>
using ForwardFunction = void (*)(const SmallConv&, const ForwardRow<vectors>&, const float*);

// The tile that spends least on a row.
template <int vectors, int... pixels>
ForwardFunction<vectors> choose_tile(const SmallConv& p) {
  ForwardFunction<vectors> best = nullptr;
  int64_t least = 0;
  const auto consider = [&](int64_t size, ForwardFunction<vectors> function) {
    const int64_t cost = ceil_div(p.ow, size) * (size + 1);
    if (size > p.ow || (best != nullptr && cost >= least)) return;
    best = function, least = cost;
  };
  (consider(pixels, forward_row<pixels, vectors>), ...);
  return best;
}

template <int vectors>
[[gnu::always_inline]] inline void forward_pair(const SmallConv& p, ForwardFunction<vectors> function, int64_t pair,
                                                const float* packed, const int64_t* offsets, const float* bias,
                                                bool relu, const ImageLayout& layout, float* image, int64_t output_row,
                                                const float* canvas) {
  ForwardRow<vectors> row;
  row.weight = packed + pair * 2 * vector_lanes * p.taps();
  row.offsets = offsets;
  row.width = layout.width;
  row.floor = Vector{} - (relu ? 0.0f : __builtin_inff());
  for (int v = 0; v < vectors; ++v) {
    const int64_t k = (pair * 2 + v) * vector_lanes;
    row.bias[v] = load_vector(bias + k);
    row.out[v] = image + (k / layout.width * layout.pixels + output_row * p.ow) * layout.width + k % layout.width;
    row.lanes = smaller(vector_lanes, p.k - k);
    row.whole = row.lanes == vector_lanes ? p.ow : p.ow - ceil_div(k % layout.width + vector_lanes, layout.width) + 1;
  }
  function(p, row, canvas);
}

inline void small_conv_forward(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& weight,
                               const Tensor& bias, Activation activation, const Tensor& out) {
  SmallConv p(problem);
  const CanvasSource source(p, x);
  const ImageLayout layout(out, p.k, p.oh * p.ow);
  const int64_t slots = thread_count();
  const Bands bands(p, 2 * slots);
  const int64_t lanes = p.vectors * vector_lanes;
  const int64_t canvas_floats = source.direct ? 0 : p.canvas_rows(bands.rows) * p.pitch;
  const Scratch<float> memory(lanes * (p.taps() + 1) + slots * canvas_floats);
  float* const packed = memory.data();
  float* const biases = packed + lanes * p.taps();
  float* const canvases = biases + lanes;
  const Scratch<int64_t> offset_memory(p.taps());
  const int64_t* const offsets = tap_offsets(p, offset_memory);
  pack_filters(p, pointer<float>(weight), packed);
  for (int64_t k = 0; k < p.k && bias.defined(); ++k) biases[k] = pointer<float>(bias)[k];
  const ForwardFunction<2> two = choose_tile<2, 6, 5, 4, 2, 1>(p);
  const ForwardFunction<1> one = choose_tile<1, 14, 12, 10, 8, 4, 2, 1>(p);
  float* const to = pointer<float>(out);
  const bool relu = activation == Activation::relu;
  parallel_slots(p.n * bands.per_image, slots, work_of(p), [&](int64_t slot, int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / bands.per_image, first = task % bands.per_image * bands.rows;
      const int64_t rows = smaller(bands.rows, p.oh - first);
      const float* const canvas = source(p, image, first, rows, canvases + slot * canvas_floats);
      float* const to_image = to + image * layout.image_size();
      for (int64_t row = 0; row < rows; ++row) {
        const float* const from = canvas + row * p.row_step();
        // From the last vector to the first, which writes over what the last one left in the next pixel.
        for (int64_t pair = ceil_div(p.vectors, 2) - 1; pair >= 0; --pair) {
          if (pair * 2 + 1 < p.vectors)
            forward_pair<2>(p, two, pair, packed, offsets, biases, relu, layout, to_image, first + row, from);
          else
            forward_pair<1>(p, one, pair, packed, offsets, biases, relu, layout, to_image, first + row, from);
        }
      }
    }
  });
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
