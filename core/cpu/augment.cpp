// Augmentation of images: rows of windows, shared out among the threads.
#include "core/kernels/augment.h"

#include <fmt/format.h>

#include "core/cpu/kernels.h"
#include "dnn/error.h"
#include "dnn/float16.h"

namespace dnn::cpu {

namespace {

// Below this many elements a second thread costs more than it saves.
constexpr int64_t parallel_threshold = 32768;

template <class T, class C>
void augment_as(const kernel::AugmentProblem& p, const uint8_t* images, const int64_t* indices,
                const detail::Draw& draw, int64_t count, T* out) {
  const int64_t row_bytes = p.channels * p.height * p.width, row_size = p.channels * p.rows * p.columns;
#pragma omp parallel for schedule(static) if (count * row_size > parallel_threshold)
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = indices != nullptr ? indices[i] : i;
    const kernel::ImageWindow window = p.window(draw.seed, draw.stream, index);
    T* to = out + i * row_size;
    for (int64_t c = 0; c < p.channels; ++c) {
      const uint8_t* const plane = images + index * row_bytes + c * p.height * p.width;
      for (int64_t y = 0; y < p.rows; ++y) {
        const int64_t row = p.place(window.top + y, p.height);
        for (int64_t x = 0; x < p.columns; ++x) {
          const int64_t column = p.place(window.left + (window.flipped ? p.columns - 1 - x : x), p.width);
          const C value = row < 0 || column < 0 ? C(0) : p.number<C>(plane[row * p.width + column], c);
          *to++ = static_cast<T>(value);
        }
      }
    }
  }
}

}  // namespace

void augment(const kernel::AugmentProblem& problem, const Tensor& images, const Tensor& indices,
             const detail::Draw& draw, const Tensor& out) {
  const int64_t count = out.shape()[0];
  const auto* const at = indices.defined() ? static_cast<const int64_t*>(detail::raw(indices)) : nullptr;
  for (int64_t i = 0; at != nullptr && i < count; ++i)
    if (at[i] < 0 || at[i] >= problem.images)
      throw IndexError(
          fmt::format("augment_images: index {} at position {}, expected 0 <= index < {}", at[i], i, problem.images));
  const auto* const bytes = static_cast<const uint8_t*>(detail::raw(images));
  void* const to = detail::raw(out);
  switch (out.dtype()) {
    case DType::float64: return augment_as<double, double>(problem, bytes, at, draw, count, static_cast<double*>(to));
    case DType::float16: return augment_as<float16, float>(problem, bytes, at, draw, count, static_cast<float16*>(to));
    case DType::bfloat16:
      return augment_as<bfloat16, float>(problem, bytes, at, draw, count, static_cast<bfloat16*>(to));
    default: return augment_as<float, float>(problem, bytes, at, draw, count, static_cast<float*>(to));
  }
}

}  // namespace dnn::cpu
