// The gradients of the convolution of few channels; see conv.h.
#pragma once

#include "core/cpu/simd/conv.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// The gradient of the output with the filters innermost, padded to whole vectors: the tensor itself or a copy.
struct GradientSource {
  GradientSource(const SmallConv& p, const Tensor& grad)
      : from(pointer<float>(grad)),
        layout(grad, p.k, p.oh * p.ow),
        direct(layout.channels_innermost() && p.k % vector_lanes == 0),
        pitch(p.vectors * vector_lanes) {}

  const float* operator()(const SmallConv& p, int64_t image, int64_t first_row, int64_t rows, float* memory) const {
    const float* const pixels = from + image * layout.image_size() + first_row * p.ow * layout.width;
    if (direct) return pixels;
    copy(p, pixels, rows * p.ow, memory);
    return memory;
  }

  [[gnu::noinline]] void copy(const SmallConv& p, const float* pixels, int64_t count, float* memory) const {
    if (layout.channels_innermost() && p.k < pitch) {
      // Whole vectors, where they end within the band.
      const int64_t vectors_of_pixel = pitch / vector_lanes, whole = larger(0, count - ceil_div(pitch, p.k));
      for (int64_t i = 0; i < whole; ++i)
        for (int64_t v = 0; v < vectors_of_pixel; ++v)
          store_vector(memory + i * pitch + v * vector_lanes, load_vector(pixels + i * p.k + v * vector_lanes));
      for (int64_t i = whole; i < count; ++i)
        for (int64_t k = 0; k < p.k; ++k) memory[i * pitch + k] = pixels[i * p.k + k];
      return;
    }
    for (int64_t b = 0; b < layout.blocks; ++b)
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < layout.width; ++j)
          memory[i * pitch + b * layout.width + j] = pixels[b * layout.pixels * layout.width + i * layout.width + j];
  }

  const float* from;
  ImageLayout layout;
  bool direct;
  int64_t pitch;  // floats of a pixel
};

// sums[tap][vector] += x[tap's offset + pixel] * grad[pixel][vector] over the pixels of a band.
template <int taps, int vectors>
[[gnu::noinline]] void weight_tile(const SmallConv& p, const float* canvas, const int64_t* offsets, int64_t rows,
                                   const float* grad, int64_t grad_pitch, float* sums) {
  const float* x[taps];
#pragma GCC unroll 16
  for (int t = 0; t < taps; ++t) x[t] = canvas + offsets[t];
  Vector products[taps][vectors] = {};
  const int64_t step = p.step();
  for (int64_t row = 0; row < rows; ++row) {
    int64_t at = row * p.row_step();
    for (int64_t i = 0; i < p.ow; ++i, at += step, grad += grad_pitch) {
      Vector g[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) g[v] = load_vector(grad + v * vector_lanes);
#pragma GCC unroll 16
      for (int t = 0; t < taps; ++t)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) products[t][v] += g[v] * x[t][at];
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < taps; ++t)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      float* const to = sums + (t * vectors + v) * vector_lanes;
      store_vector(to, load_vector(to) + products[t][v]);
    }
}

using WeightFunction = void (*)(const SmallConv&, const float*, const int64_t*, int64_t, const float*, int64_t, float*);

// Taps in calls of equal size, as many at once as there are registers.
template <int vectors>
void weight_taps(const SmallConv& p, const float* canvas, const int64_t* offsets, int64_t rows, const float* grad,
                 int64_t grad_pitch, float* sums) {
  static constexpr WeightFunction of_one[] = {weight_tile<1, 1>, weight_tile<2, 1>, weight_tile<3, 1>,
                                              weight_tile<4, 1>, weight_tile<5, 1>, weight_tile<6, 1>,
                                              weight_tile<7, 1>, weight_tile<8, 1>, weight_tile<9, 1>};
  static constexpr WeightFunction of_two[] = {weight_tile<1, 2>, weight_tile<2, 2>, weight_tile<3, 2>,
                                              weight_tile<4, 2>, weight_tile<5, 2>, weight_tile<6, 2>};
  const WeightFunction* const functions = vectors == 1 ? of_one : of_two;
  const int64_t taps = p.taps(), calls = ceil_div(taps, vectors == 1 ? 9 : 6);
  for (int64_t call = 0; call < calls; ++call) {
    const int64_t first = taps * call / calls, count = taps * (call + 1) / calls - first;
    functions[count - 1](p, canvas, offsets + first, rows, grad, grad_pitch, sums + first * vectors * vector_lanes);
  }
}

// sums[vector] += the gradient over `pixels`.
inline void bias_sums(const float* grad, int64_t pitch, int64_t pixels, int64_t vectors, float* sums) {
  for (int64_t v = 0; v < vectors; ++v) {
    Vector sum[4] = {};
    const float* from = grad + v * vector_lanes;
    int64_t i = 0;
    for (; i + 4 <= pixels; i += 4, from += 4 * pitch) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sum[j] += load_vector(from + j * pitch);
    }
    for (; i < pixels; ++i, from += pitch) sum[0] += load_vector(from);
    float* const to = sums + v * vector_lanes;
    store_vector(to, load_vector(to) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
  }
}

inline void small_conv_backward_weight(const kernel::ConvProblem& problem, const Tensor& x, const Tensor& grad_output,
                                       const Tensor& grad_weight, bool accumulate_weight, const Tensor& grad_bias,
                                       bool accumulate_bias) {
  SmallConv p(problem);
  const CanvasSource source(p, x);
  const GradientSource gradient(p, grad_output);
  const Bands bands(p, 16);
  const int64_t tasks = p.n * bands.per_image, part_tasks = ceil_div(tasks, 16), parts = ceil_div(tasks, part_tasks);
  const int64_t slots = thread_count(), lanes = gradient.pitch, taps = p.taps();
  const int64_t sums_size = lanes * (taps + 1);  // the last row is the bias
  const int64_t canvas_floats = source.direct ? 0 : p.canvas_rows(bands.rows) * p.pitch;
  const int64_t grad_floats = gradient.direct ? 0 : bands.rows * p.ow * gradient.pitch;
  const int64_t slot_floats = canvas_floats + grad_floats;
  const Scratch<float> memory(parts * sums_size + slots * slot_floats);
  const Scratch<int64_t> offset_memory(taps);
  int64_t* const offsets = tap_offsets(p, offset_memory);
  float* const sums = memory.data();
  float* const canvases = sums + parts * sums_size;
  parallel_slots(parts, slots, work_of(p), [&](int64_t slot, int64_t begin, int64_t end) {
    float* const canvas_memory = canvases + slot * slot_floats;
    float* const grad_memory = canvas_memory + canvas_floats;
    for (int64_t part = begin; part < end; ++part) {
      float* const part_sums = sums + part * sums_size;
      for (int64_t task = part * part_tasks; task < smaller(part * part_tasks + part_tasks, tasks); ++task) {
        const int64_t image = task / bands.per_image, first = task % bands.per_image * bands.rows;
        const int64_t rows = smaller(bands.rows, p.oh - first);
        const float* const canvas = source(p, image, first, rows, canvas_memory);
        const float* const grad = gradient(p, image, first, rows, grad_memory);
        for (int64_t v = 0; v < p.vectors; v += 2) {
          float* const to = part_sums + v * vector_lanes * taps;
          if (v + 1 < p.vectors)
            weight_taps<2>(p, canvas, offsets, rows, grad + v * vector_lanes, gradient.pitch, to);
          else
            weight_taps<1>(p, canvas, offsets, rows, grad + v * vector_lanes, gradient.pitch, to);
        }
        bias_sums(grad, gradient.pitch, rows * p.ow, p.vectors, part_sums + lanes * taps);
      }
    }
  });
  for (int64_t part = 1; part < parts; ++part) {
#pragma omp simd
    for (int64_t i = 0; i < sums_size; ++i) sums[i] += sums[part * sums_size + i];
  }
  float* const to = pointer<float>(grad_weight);
  const int64_t plane = p.r * p.s;
  for (int64_t k = 0; k < p.k; ++k) {
    const int64_t vector = k / vector_lanes, pair = vector / 2, width = smaller(2, p.vectors - pair * 2) * vector_lanes;
    const float* const from = sums + pair * 2 * vector_lanes * taps + vector % 2 * vector_lanes + k % vector_lanes;
    for (int64_t c = 0; c < p.c; ++c)
      for (int64_t i = 0; i < plane; ++i) {
        float& element = to[(k * p.c + c) * plane + i];
        const float sum = from[(i * p.c + c) * width];
        element = accumulate_weight ? element + sum : sum;
      }
  }
  if (!grad_bias.defined()) return;
  float* const biases = pointer<float>(grad_bias);
  for (int64_t k = 0; k < p.k; ++k) {
    const float sum = sums[lanes * taps + k];
    biases[k] = accumulate_bias ? biases[k] + sum : sum;
  }
}

// A vector of neighbouring taps: where on the canvas, and which of its lanes are taps.
struct TapVector {
  int64_t offset;
  VectorMask mask;
};

// canvas[pixel + vector's offset] += sum over the filters of grad[pixel][filter] * weight[filter][vector].
template <int vectors>
[[gnu::noinline]] void data_tile(const SmallConv& p, const float* grad, int64_t grad_pitch, const float* weight,
                                 const TapVector* where, float* canvas) {
  for (int64_t row = 0; row < p.oh; ++row) {
    float* at = canvas + row * p.row_step();
    for (int64_t i = 0; i < p.ow; ++i, at += p.step(), grad += grad_pitch) {
      Vector sums[vectors] = {};
      const float* taps = weight;
      for (int64_t k = 0; k < p.k; ++k, taps += vectors * vector_lanes) {
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v) sums[v] += load_vector(taps + v * vector_lanes) * grad[k];
      }
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) {
        float* const to = at + where[v].offset;
        store_vector(to,
                     load_vector(to) + reinterpret_cast<Vector>(reinterpret_cast<VectorMask>(sums[v]) & where[v].mask));
      }
    }
  }
}

using DataFunction = void (*)(const SmallConv&, const float*, int64_t, const float*, const TapVector*, float*);

// The image out of its canvas; what no window reached is zero.
[[gnu::noinline]] inline void take_from_canvas(const SmallConv& p, const float* canvas, const ImageLayout& layout,
                                               float* image, bool accumulate) {
  const int64_t rows = p.canvas_rows(p.oh), columns = p.pitch / p.c;
  for (int64_t row = 0; row < p.h; ++row) {
    const int64_t from_row = row + p.padding.h;
    const int64_t reached = from_row < rows ? larger(0, smaller(p.w, columns - p.padding.w)) : 0;
    const float* const from = canvas + from_row * p.pitch + p.padding.w * p.c;
    for (int64_t b = 0; b < layout.blocks; ++b) {
      float* const to = image + (b * layout.pixels + row * p.w) * layout.width;
      if (layout.channels_innermost()) {
        for (int64_t i = 0; i < reached * p.c; ++i) to[i] = accumulate ? to[i] + from[i] : from[i];
      } else {
        for (int64_t i = 0; i < reached; ++i)
          for (int64_t j = 0; j < layout.width; ++j) {
            float& element = to[i * layout.width + j];
            const float value = from[i * p.c + b * layout.width + j];
            element = accumulate ? element + value : value;
          }
      }
      for (int64_t i = reached * layout.width; i < p.w * layout.width && !accumulate; ++i) to[i] = 0;
    }
  }
}

inline void small_conv_backward_data(const kernel::ConvProblem& problem, const Tensor& grad_output,
                                     const Tensor& weight, const Tensor& grad_input, bool accumulate) {
  static constexpr DataFunction functions[] = {data_tile<1>, data_tile<2>,  data_tile<3>,  data_tile<4>,
                                               data_tile<5>, data_tile<6>,  data_tile<7>,  data_tile<8>,
                                               data_tile<9>, data_tile<10>, data_tile<11>, data_tile<12>};
  const SmallConv p(problem);
  const GradientSource gradient(p, grad_output);
  const ImageLayout layout(grad_input, p.c, p.h * p.w);
  const int64_t vectors_of_run = ceil_div(p.run_length(), vector_lanes), vectors = p.runs() * vectors_of_run;
  const int64_t calls = ceil_div(vectors, 12), slots = thread_count();
  const int64_t canvas_floats = p.canvas_rows(p.oh) * p.pitch,
                grad_floats = gradient.direct ? 0 : p.oh * p.ow * gradient.pitch;
  const int64_t slot_floats = canvas_floats + vector_lanes + grad_floats;
  const Scratch<float> memory(vectors * vector_lanes * p.k + slots * slot_floats);
  const Scratch<TapVector> where_memory(vectors);
  float* const packed = memory.data();  // [call][filter][vector][lane]
  float* const canvases = packed + vectors * vector_lanes * p.k;
  TapVector* const where = where_memory.data();
  const auto first_of = [&](int64_t call) { return vectors * call / calls; };
  const float* const weights = pointer<float>(weight);
  const int64_t plane = p.r * p.s;
  for (int64_t call = 0; call < calls; ++call) {
    const int64_t first = first_of(call), count = first_of(call + 1) - first;
    for (int64_t v = first; v < first + count; ++v) {
      const int64_t run = v / vectors_of_run, lane = v % vectors_of_run * vector_lanes;
      where[v].offset = p.run_offset(run) + lane;
      for (int64_t j = 0; j < vector_lanes && lane + j < p.run_length(); ++j) {
        where[v].mask[j] = -1;
        const int64_t tap = run * p.run_length() + lane + j;
        for (int64_t k = 0; k < p.k; ++k)
          packed[((first * p.k + k * count) + v - first) * vector_lanes + j] =
              weights[(k * p.c + tap % p.c) * plane + tap / p.c];
      }
    }
  }
  float* const to = pointer<float>(grad_input);
  parallel_slots(p.n, slots, work_of(p), [&](int64_t slot, int64_t begin, int64_t end) {
    float* const canvas = canvases + slot * slot_floats;
    for (int64_t image = begin; image < end; ++image) {
      const float* const grad = gradient(p, image, 0, p.oh, canvas + canvas_floats + vector_lanes);
      for (int64_t i = 0; i < canvas_floats; ++i) canvas[i] = 0;
      for (int64_t call = 0; call < calls; ++call) {
        const int64_t first = first_of(call);
        functions[first_of(call + 1) - first - 1](p, grad, gradient.pitch, packed + first * p.k * vector_lanes,
                                                  where + first, canvas);
      }
      take_from_canvas(p, canvas, layout, to + image * layout.image_size(), accumulate);
    }
  });
}

inline void install_conv() {
  conv_small::kernels = {small_conv_forward, small_conv_backward_data, small_conv_backward_weight};
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
