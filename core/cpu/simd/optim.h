// The optimizers: one parallel region over all parameters.
//
// The parameters are taken as one long list of elements, of which every thread gets an equal share, so that many small
// tensors and a few large ones are split equally well. The formulas are PyTorch's, constants computed in float64. A
// shadow is written in a pass of its own: there is no training in 16 bits on a CPU to be fast in.
#pragma once

#include <cmath>
#include <vector>

#include "core/cpu/simd/common.h"
#include "core/kernels/optim.h"

namespace dnn::cpu::DNN_SIMD_VARIANT {

// Calls body(k, begin, end) for elements [begin, end) of tensor k.
template <class Body>
[[gnu::always_inline]] inline void parallel_tensors(const std::vector<Tensor>& tensors, const Body& body) {
  int64_t total = 0;
  for (const Tensor& t : tensors) total += t.numel();
  parallel_elements(total, [&](int64_t begin, int64_t end) {
    int64_t first = 0;
    for (size_t k = 0; k < tensors.size() && first < end; ++k) {
      const int64_t n = tensors[k].numel();
      const int64_t from = begin > first ? begin - first : 0;
      const int64_t to = smaller(end - first, n);
      if (from < to) body(k, from, to);
      first += n;
    }
  });
}

// A number of an update's control, `otherwise` when there is none.
inline double number_of(const Tensor& t, double otherwise) {
  if (!t.defined()) return otherwise;
  return t.dtype() == DType::float64 ? *pointer<double>(t) : static_cast<double>(*pointer<float>(t));
}

// What the control says: whether there is an update at all, and the number of the step without those skipped.
struct UpdateNumbers {
  UpdateNumbers(const UpdateControl& control, int64_t number)
      : factor(number_of(control.factor, 1)),
        step(number - static_cast<int64_t>(number_of(control.skipped, 0))),
        skips(number_of(control.skip, 0) != 0) {
    if (skips && control.skipped.defined()) *pointer<float>(control.skipped) += 1;
  }
  double factor;
  int64_t step;
  bool skips;
};

// Calls visit(Type<P>, Type<G>) for the types of parameters and gradients.
template <class Visit>
[[gnu::always_inline]] inline void visit_update(const char* name, const Tensor& parameter, const Tensor& gradient,
                                                const Visit& visit) {
  visit_floating(name, parameter.dtype(), [&]<class P>(Type<P>) {
    if constexpr (std::is_same_v<P, float>) {
      if (gradient.dtype() == DType::float16) return visit(Type<P>{}, Type<float16>{});
      if (gradient.dtype() == DType::bfloat16) return visit(Type<P>{}, Type<bfloat16>{});
    }
    visit(Type<P>{}, Type<P>{});
  });
}

template <class T>
void copy_part(const float* from, T* to, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) store(to, i, from[i]);
}

inline void write_shadow(const kernel::UpdateExtras& extras, const Tensor& parameter, size_t k, int64_t begin,
                         int64_t end) {
  if (extras.shadows.empty() || !extras.shadows[k].defined()) return;
  const Tensor& shadow = extras.shadows[k];
  const float* from = pointer<float>(parameter);
  if (shadow.dtype() == DType::float16)
    copy_part(from, pointer<float16>(shadow), begin, end);
  else
    copy_part(from, pointer<bfloat16>(shadow), begin, end);
}

template <class T, class G>
void sgd_part(T* parameter, const G* gradient, T* velocity, const SgdUpdate& options, const UpdateNumbers& numbers,
              int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C factor = static_cast<C>(numbers.factor);
  const C lr = static_cast<C>(options.lr), decay = static_cast<C>(options.weight_decay);
  const C momentum = static_cast<C>(options.momentum), fresh = static_cast<C>(1 - options.dampening);
  const bool first = numbers.step == 1, nesterov = options.nesterov;
  if (options.momentum == 0) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const C p = load(parameter, i);
      store(parameter, i, p - lr * (factor * load(gradient, i) + decay * p));
    }
    return;
  }
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = factor * load(gradient, i) + decay * p;
    const C v = first ? g : momentum * load(velocity, i) + fresh * g;
    store(velocity, i, v);
    store(parameter, i, p - lr * (nesterov ? g + momentum * v : v));
  }
}

inline void sgd_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                       const std::vector<Tensor>& velocities, const SgdUpdate& options,
                       const kernel::UpdateExtras& extras) {
  const UpdateNumbers numbers(extras.control, options.step);
  if (numbers.skips) return;
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_update("sgd_update", parameters[k], gradients[k], [&]<class T, class G>(Type<T>, Type<G>) {
      T* velocity = options.momentum == 0 ? nullptr : pointer<T>(velocities[k]);
      sgd_part(pointer<T>(parameters[k]), pointer<G>(gradients[k]), velocity, options, numbers, begin, end);
    });
    write_shadow(extras, parameters[k], k, begin, end);
  });
}

// The constants of one step of Adam.
struct AdamStep {
  AdamStep(const AdamUpdate& options, int64_t step)
      : rate(options.lr / (1 - std::pow(options.beta1, static_cast<double>(step)))),
        root_correction(std::sqrt(1 - std::pow(options.beta2, static_cast<double>(step)))),
        shrink(options.decoupled_decay ? 1 - options.lr * options.weight_decay : 1),
        decay(options.decoupled_decay ? 0 : options.weight_decay) {}
  double rate;             // the learning rate over the bias correction of the mean
  double root_correction;  // of the root of the mean square
  double shrink;           // of the weight itself
  double decay;            // multiple of the weight in the gradient
};

template <class T, class G>
void adam_part(T* parameter, const G* gradient, T* mean, T* square, const AdamUpdate& options, const AdamStep& step,
               double gradient_factor, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C factor = static_cast<C>(gradient_factor);
  const C rate = static_cast<C>(step.rate), root_correction = static_cast<C>(step.root_correction);
  const C shrink = static_cast<C>(step.shrink), decay = static_cast<C>(step.decay), eps = static_cast<C>(options.eps);
  const C fresh1 = static_cast<C>(1 - options.beta1);
  const C beta2 = static_cast<C>(options.beta2), fresh2 = static_cast<C>(1 - options.beta2);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = factor * load(gradient, i) + decay * p;
    const C m = load(mean, i) + fresh1 * (g - load(mean, i));
    const C v = beta2 * load(square, i) + fresh2 * g * g;
    store(mean, i, m);
    store(square, i, v);
    store(parameter, i, shrink * p - rate * m / (math::sqrt(v) / root_correction + eps));
  }
}

inline void adam_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                        const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options,
                        const kernel::UpdateExtras& extras) {
  const UpdateNumbers numbers(extras.control, options.step);
  if (numbers.skips) return;
  const AdamStep step(options, numbers.step);
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_update("adam_update", parameters[k], gradients[k], [&]<class T, class G>(Type<T>, Type<G>) {
      adam_part(pointer<T>(parameters[k]), pointer<G>(gradients[k]), pointer<T>(means[k]), pointer<T>(squares[k]),
                options, step, numbers.factor, begin, end);
    });
    write_shadow(extras, parameters[k], k, begin, end);
  });
}

template <class T, class G>
void rmsprop_part(T* parameter, const G* gradient, T* square, T* mean, T* velocity, const RmspropUpdate& options,
                  double gradient_factor, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C factor = static_cast<C>(gradient_factor);
  const C lr = static_cast<C>(options.lr), decay = static_cast<C>(options.weight_decay);
  const C alpha = static_cast<C>(options.alpha), fresh = static_cast<C>(1 - options.alpha);
  const C eps = static_cast<C>(options.eps), momentum = static_cast<C>(options.momentum);
  const bool centered = options.centered, keeps_velocity = options.momentum != 0;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = factor * load(gradient, i) + decay * p;
    const C s = alpha * load(square, i) + fresh * g * g;
    store(square, i, s);
    C variance = s;
    if (centered) {
      const C m = load(mean, i) + fresh * (g - load(mean, i));
      store(mean, i, m);
      variance = s - m * m;
    }
    C change = g / (math::sqrt(variance) + eps);
    if (keeps_velocity) {
      change += momentum * load(velocity, i);
      store(velocity, i, change);
    }
    store(parameter, i, p - lr * change);
  }
}

inline void rmsprop_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                           const std::vector<Tensor>& velocities, const RmspropUpdate& options,
                           const kernel::UpdateExtras& extras) {
  const UpdateNumbers numbers(extras.control, 1);
  if (numbers.skips) return;
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_update("rmsprop_update", parameters[k], gradients[k], [&]<class T, class G>(Type<T>, Type<G>) {
      T* mean = options.centered ? pointer<T>(means[k]) : nullptr;
      T* velocity = options.momentum == 0 ? nullptr : pointer<T>(velocities[k]);
      rmsprop_part(pointer<T>(parameters[k]), pointer<G>(gradients[k]), pointer<T>(squares[k]), mean, velocity, options,
                   numbers.factor, begin, end);
    });
    write_shadow(extras, parameters[k], k, begin, end);
  });
}

template <class T, class G>
void adagrad_part(T* parameter, const G* gradient, T* sum, const AdagradUpdate& options, const UpdateNumbers& numbers,
                  int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C factor = static_cast<C>(numbers.factor), decay = static_cast<C>(options.weight_decay);
  const C lr = static_cast<C>(options.lr / (1 + static_cast<double>(numbers.step - 1) * options.lr_decay));
  const C eps = static_cast<C>(options.eps), initial = static_cast<C>(numbers.step == 1 ? options.initial_sum : 0);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = factor * load(gradient, i) + decay * p;
    const C s = load(sum, i) + initial + g * g;
    store(sum, i, s);
    store(parameter, i, p - lr * g / (math::sqrt(s) + eps));
  }
}

inline void adagrad_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& sums, const AdagradUpdate& options,
                           const kernel::UpdateExtras& extras) {
  const UpdateNumbers numbers(extras.control, options.step);
  if (numbers.skips) return;
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_update("adagrad_update", parameters[k], gradients[k], [&]<class T, class G>(Type<T>, Type<G>) {
      adagrad_part(pointer<T>(parameters[k]), pointer<G>(gradients[k]), pointer<T>(sums[k]), options, numbers, begin,
                   end);
    });
    write_shadow(extras, parameters[k], k, begin, end);
  });
}

inline void install_optim() {
  kernel::sgd_update.set(DeviceType::cpu, sgd_update);
  kernel::adam_update.set(DeviceType::cpu, adam_update);
  kernel::rmsprop_update.set(DeviceType::cpu, rmsprop_update);
  kernel::adagrad_update.set(DeviceType::cpu, adagrad_update);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
