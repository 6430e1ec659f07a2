// What training asks of all gradients at once: their norm, whether they are finite, a common factor; and the scale of
// the loss.
//
// The gradients are taken as one long list of elements that is cut into 64 parts, whatever the number of threads, so
// that sums do not depend on it. A part is summed in pieces of 1024 elements, the pieces in float64.
#pragma once

#include <limits>

#include "core/cpu/simd/optim.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

struct MeasuredPart {
  double value = 0;  // sum of squares, or largest absolute value
  bool nan = false, finite = true;
};

template <bool infinity_norm, class T>
void measure_piece(const T* gradient, int64_t begin, int64_t end, MeasuredPart& part) {
  using C = Compute<T>;
  constexpr C largest = std::numeric_limits<C>::max();
  C value = 0;
  int32_t infinite = 0, nan = 0;
  if constexpr (infinity_norm) {
#pragma omp simd reduction(max : value) reduction(| : infinite, nan)
    for (int64_t i = begin; i < end; ++i) {
      const C x = load(gradient, i), size = x < 0 ? -x : x;
      infinite |= size <= largest ? 0 : 1;
      nan |= x == x ? 0 : 1;
      value = size > value ? size : value;
    }
    if (static_cast<double>(value) > part.value) part.value = static_cast<double>(value);
  } else {
#pragma omp simd reduction(+ : value) reduction(| : infinite, nan)
    for (int64_t i = begin; i < end; ++i) {
      const C x = load(gradient, i), size = x < 0 ? -x : x;
      infinite |= size <= largest ? 0 : 1;
      nan |= x == x ? 0 : 1;
      value += size * size;
    }
    part.value += static_cast<double>(value);
  }
  part.finite = part.finite && infinite == 0;
  part.nan = part.nan || nan != 0;
}

template <bool infinity_norm>
MeasuredPart measure_elements(const std::vector<Tensor>& gradients, int64_t begin, int64_t end) {
  constexpr int64_t piece = 1024;
  MeasuredPart part;
  int64_t first = 0;
  for (size_t k = 0; k < gradients.size() && first < end; first += gradients[k++].numel()) {
    const int64_t to = smaller(end - first, gradients[k].numel());
    visit_floating("measure_gradients", gradients[k].dtype(), [&]<class T>(Type<T>) {
      for (int64_t from = begin > first ? begin - first : 0; from < to; from += piece)
        measure_piece<infinity_norm>(pointer<T>(gradients[k]), from, smaller(from + piece, to), part);
    });
  }
  return part;
}

inline void put_number(const Tensor& t, double value) {
  if (t.dtype() == DType::float64)
    *pointer<double>(t) = value;
  else
    *pointer<float>(t) = static_cast<float>(value);
}

inline void measure_gradients(const std::vector<Tensor>& gradients, bool infinity_norm, double max_norm,
                              const Tensor& loss_scale, const Tensor& norm, const Tensor& factor,
                              const Tensor& non_finite) {
  constexpr int64_t count = 64;
  MeasuredPart parts[count];
  int64_t total = 0;
  for (const Tensor& gradient : gradients) total += gradient.numel();
  const int64_t each = ceil_div(total, count);
  parallel(count, total, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = smaller(i * each, total), to = smaller(from + each, total);
      parts[i] =
          infinity_norm ? measure_elements<true>(gradients, from, to) : measure_elements<false>(gradients, from, to);
    }
  });
  MeasuredPart whole;
  for (const MeasuredPart& part : parts) {
    if (!infinity_norm)
      whole.value += part.value;
    else if (part.value > whole.value)
      whole.value = part.value;
    whole.nan = whole.nan || part.nan, whole.finite = whole.finite && part.finite;
  }
  const double size = whole.nan       ? std::numeric_limits<double>::quiet_NaN()
                      : infinity_norm ? whole.value
                                      : math::sqrt(whole.value);
  const double scale = number_of(loss_scale, 1), size_unscaled = size / scale;
  double share = max_norm > 0 ? max_norm / (size_unscaled + 1e-6) : 1;
  if (share > 1) share = 1;
  put_number(norm, size_unscaled);
  put_number(factor, share / scale);
  put_number(non_finite, whole.finite ? 0 : 1);
}

template <class T>
void scale_part(T* gradient, Compute<T> factor, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) store(gradient, i, load(gradient, i) * factor);
}

inline void scale_gradients(const std::vector<Tensor>& gradients, const Tensor& factor) {
  const double value = number_of(factor, 1);
  if (value == 1) return;
  parallel_tensors(gradients, [&](size_t k, int64_t begin, int64_t end) {
    visit_floating("scale_gradients", gradients[k].dtype(), [&]<class T>(Type<T>) {
      scale_part(pointer<T>(gradients[k]), static_cast<Compute<T>>(value), begin, end);
    });
  });
}

inline void update_loss_scale(const Tensor& scale, const Tensor& streak, const Tensor& non_finite,
                              const LossScaleUpdate& options) {
  float& value = *pointer<float>(scale);
  int32_t& good = *pointer<int32_t>(streak);
  if (*pointer<float>(non_finite) != 0) {
    value *= static_cast<float>(options.backoff);
    good = 0;
  } else if (++good >= options.interval) {
    const float grown = value * static_cast<float>(options.growth);
    if (grown <= std::numeric_limits<float>::max()) value = grown;
    good = 0;
  }
}

inline void install_gradients() {
  kernel::measure_gradients.set(DeviceType::cpu, measure_gradients);
  kernel::scale_gradients.set(DeviceType::cpu, scale_gradients);
  kernel::update_loss_scale.set(DeviceType::cpu, update_loss_scale);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
