// The optimizers: one parallel region over all parameters.
//
// The parameters are taken as one long list of elements, of which every thread gets an equal share, so that many small
// tensors and a few large ones are split equally well. The formulas are PyTorch's, constants computed in float64.
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

template <class T>
void sgd_part(T* parameter, const T* gradient, T* velocity, const SgdUpdate& options, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C lr = static_cast<C>(options.lr), decay = static_cast<C>(options.weight_decay);
  const C momentum = static_cast<C>(options.momentum), fresh = static_cast<C>(1 - options.dampening);
  const bool first = options.first_step, nesterov = options.nesterov;
  if (options.momentum == 0) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const C p = load(parameter, i);
      store(parameter, i, p - lr * (load(gradient, i) + decay * p));
    }
    return;
  }
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = load(gradient, i) + decay * p;
    const C v = first ? g : momentum * load(velocity, i) + fresh * g;
    store(velocity, i, v);
    store(parameter, i, p - lr * (nesterov ? g + momentum * v : v));
  }
}

inline void sgd_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                       const std::vector<Tensor>& velocities, const SgdUpdate& options) {
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_floating("sgd_update", parameters[k].dtype(), [&]<class T>(Type<T>) {
      T* velocity = options.momentum == 0 ? nullptr : pointer<T>(velocities[k]);
      sgd_part(pointer<T>(parameters[k]), pointer<T>(gradients[k]), velocity, options, begin, end);
    });
  });
}

// The constants of one step of Adam.
struct AdamStep {
  explicit AdamStep(const AdamUpdate& options)
      : rate(options.lr / (1 - std::pow(options.beta1, static_cast<double>(options.step)))),
        root_correction(std::sqrt(1 - std::pow(options.beta2, static_cast<double>(options.step)))),
        shrink(options.decoupled_decay ? 1 - options.lr * options.weight_decay : 1),
        decay(options.decoupled_decay ? 0 : options.weight_decay) {}
  double rate;             // the learning rate over the bias correction of the mean
  double root_correction;  // of the root of the mean square
  double shrink;           // of the weight itself
  double decay;            // multiple of the weight in the gradient
};

template <class T>
void adam_part(T* parameter, const T* gradient, T* mean, T* square, const AdamUpdate& options, const AdamStep& step,
               int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C rate = static_cast<C>(step.rate), root_correction = static_cast<C>(step.root_correction);
  const C shrink = static_cast<C>(step.shrink), decay = static_cast<C>(step.decay), eps = static_cast<C>(options.eps);
  const C fresh1 = static_cast<C>(1 - options.beta1);
  const C beta2 = static_cast<C>(options.beta2), fresh2 = static_cast<C>(1 - options.beta2);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = load(gradient, i) + decay * p;
    const C m = load(mean, i) + fresh1 * (g - load(mean, i));
    const C v = beta2 * load(square, i) + fresh2 * g * g;
    store(mean, i, m);
    store(square, i, v);
    store(parameter, i, shrink * p - rate * m / (math::sqrt(v) / root_correction + eps));
  }
}

inline void adam_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                        const std::vector<Tensor>& means, const std::vector<Tensor>& squares,
                        const AdamUpdate& options) {
  const AdamStep step(options);
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_floating("adam_update", parameters[k].dtype(), [&]<class T>(Type<T>) {
      adam_part(pointer<T>(parameters[k]), pointer<T>(gradients[k]), pointer<T>(means[k]), pointer<T>(squares[k]),
                options, step, begin, end);
    });
  });
}

template <class T>
void rmsprop_part(T* parameter, const T* gradient, T* square, T* mean, T* velocity, const RmspropUpdate& options,
                  int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C lr = static_cast<C>(options.lr), decay = static_cast<C>(options.weight_decay);
  const C alpha = static_cast<C>(options.alpha), fresh = static_cast<C>(1 - options.alpha);
  const C eps = static_cast<C>(options.eps), momentum = static_cast<C>(options.momentum);
  const bool centered = options.centered, keeps_velocity = options.momentum != 0;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = load(gradient, i) + decay * p;
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
                           const std::vector<Tensor>& velocities, const RmspropUpdate& options) {
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_floating("rmsprop_update", parameters[k].dtype(), [&]<class T>(Type<T>) {
      T* mean = options.centered ? pointer<T>(means[k]) : nullptr;
      T* velocity = options.momentum == 0 ? nullptr : pointer<T>(velocities[k]);
      rmsprop_part(pointer<T>(parameters[k]), pointer<T>(gradients[k]), pointer<T>(squares[k]), mean, velocity, options,
                   begin, end);
    });
  });
}

template <class T>
void adagrad_part(T* parameter, const T* gradient, T* sum, const AdagradUpdate& options, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const C lr = static_cast<C>(options.lr), decay = static_cast<C>(options.weight_decay);
  const C eps = static_cast<C>(options.eps), initial = static_cast<C>(options.initial_sum);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const C p = load(parameter, i);
    const C g = load(gradient, i) + decay * p;
    const C s = load(sum, i) + initial + g * g;
    store(sum, i, s);
    store(parameter, i, p - lr * g / (math::sqrt(s) + eps));
  }
}

inline void adagrad_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                           const std::vector<Tensor>& sums, const AdagradUpdate& options) {
  parallel_tensors(parameters, [&](size_t k, int64_t begin, int64_t end) {
    visit_floating("adagrad_update", parameters[k].dtype(), [&]<class T>(Type<T>) {
      adagrad_part(pointer<T>(parameters[k]), pointer<T>(gradients[k]), pointer<T>(sums[k]), options, begin, end);
    });
  });
}

inline void install_optim() {
  kernel::sgd_update.set(DeviceType::cpu, sgd_update);
  kernel::adam_update.set(DeviceType::cpu, adam_update);
  kernel::rmsprop_update.set(DeviceType::cpu, rmsprop_update);
  kernel::adagrad_update.set(DeviceType::cpu, adagrad_update);
}

}  // namespace dnn::cpu::DNN_SIMD_VARIANT
