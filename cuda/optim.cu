// The optimizers: one launch over all parameters.
//
// The parameters are cut into chunks of 4096 elements. A table in device memory says for each chunk which tensor it
// belongs to and where it begins, and for each tensor where its parameter, gradient and states lie; blocks take chunks
// in turn. Parameters, gradients and states keep their addresses, so the table is uploaded once. The formulas are
// PyTorch's.
#include <cmath>
#include <cstring>

#include "core/math.h"
#include "cuda/dispatch.h"
#include "cuda/kernels.h"
#include "cuda/vector.cuh"

namespace dnn::cuda {

inline constexpr int64_t chunk_elements = 4096;

struct OptimizerEntry {
  void* parameter = nullptr;
  const void* gradient = nullptr;
  void* states[3] = {};  // null when the rule has none
  int64_t n = 0;
  int64_t type = 0;  // DType
};

struct OptimizerChunk {
  int64_t entry;
  int64_t begin;  // a multiple of every pack's width
};

struct ChunkTable {
  const OptimizerEntry* entries;
  const OptimizerChunk* chunks;
  int64_t count;
};

// v = momentum v + (1 - dampening) (g + decay p);  p -= lr v, or lr (g + momentum v) for Nesterov.
struct SgdRule {
  double lr, momentum, fresh, decay;
  bool first_step, nesterov;

  template <class C>
  __device__ C operator()(C p, C g, C& velocity, C&, C&) const {
    g += static_cast<C>(decay) * p;
    if (momentum == 0) return p - static_cast<C>(lr) * g;
    velocity = first_step ? g : static_cast<C>(momentum) * velocity + static_cast<C>(fresh) * g;
    return p - static_cast<C>(lr) * (nesterov ? g + static_cast<C>(momentum) * velocity : velocity);
  }
};

struct AdamRule {
  double rate;             // the learning rate over the bias correction of the mean
  double root_correction;  // of the root of the mean square
  double shrink;           // of the weight itself
  double decay;            // multiple of the weight in the gradient
  double fresh1, beta2, fresh2, eps;

  template <class C>
  __device__ C operator()(C p, C g, C& mean, C& square, C&) const {
    g += static_cast<C>(decay) * p;
    mean += static_cast<C>(fresh1) * (g - mean);
    square = static_cast<C>(beta2) * square + static_cast<C>(fresh2) * g * g;
    const C root = math::sqrt(square) / static_cast<C>(root_correction);
    return static_cast<C>(shrink) * p - static_cast<C>(rate) * mean / (root + static_cast<C>(eps));
  }
};

struct RmspropRule {
  double lr, alpha, fresh, eps, decay, momentum;
  bool centered;

  template <class C>
  __device__ C operator()(C p, C g, C& square, C& mean, C& velocity) const {
    g += static_cast<C>(decay) * p;
    square = static_cast<C>(alpha) * square + static_cast<C>(fresh) * g * g;
    C variance = square;
    if (centered) {
      mean += static_cast<C>(fresh) * (g - mean);
      variance -= mean * mean;
    }
    velocity = static_cast<C>(momentum) * velocity + g / (math::sqrt(variance) + static_cast<C>(eps));
    return p - static_cast<C>(lr) * velocity;
  }
};

struct AdagradRule {
  double lr, eps, decay, initial_sum;

  template <class C>
  __device__ C operator()(C p, C g, C& sum, C&, C&) const {
    g += static_cast<C>(decay) * p;
    sum += static_cast<C>(initial_sum) + g * g;
    return p - static_cast<C>(lr) * g / (math::sqrt(sum) + static_cast<C>(eps));
  }
};

namespace {

template <class T, class Rule>
__device__ void update_chunk(const Rule& rule, const OptimizerEntry& entry, int64_t begin) {
  using C = Compute<T>;
  T* parameter = static_cast<T*>(entry.parameter) + begin;
  const T* gradient = static_cast<const T*>(entry.gradient) + begin;
  T* states[3];
  for (int s = 0; s < 3; ++s)
    states[s] = entry.states[s] == nullptr ? nullptr : static_cast<T*>(entry.states[s]) + begin;
  const int64_t n = entry.n - begin < chunk_elements ? entry.n - begin : chunk_elements;
  for (int64_t i = threadIdx.x; i < pack_count<T>(n); i += blockDim.x) {
    Pack<T> p = load_vec(parameter, i, n);
    const Pack<T> g = load_vec(gradient, i, n);
    Pack<T> s[3] = {};
    for (int j = 0; j < 3; ++j) {
      if (states[j] != nullptr) s[j] = load_vec<T>(states[j], i, n);
    }
    for (int k = 0; k < Pack<T>::width; ++k) {
      C state[3];
      for (int j = 0; j < 3; ++j) state[j] = static_cast<C>(s[j].values[k]);
      p.values[k] =
          static_cast<T>(rule(static_cast<C>(p.values[k]), static_cast<C>(g.values[k]), state[0], state[1], state[2]));
      for (int j = 0; j < 3; ++j) s[j].values[k] = static_cast<T>(state[j]);
    }
    store_vec(parameter, i, n, p);
    for (int j = 0; j < 3; ++j) {
      if (states[j] != nullptr) store_vec(states[j], i, n, s[j]);
    }
  }
}

}  // namespace

template <class Rule>
__global__ void optimizer_kernel(Rule rule, ChunkTable table) {
  for (int64_t c = blockIdx.x; c < table.count; c += gridDim.x) {
    const OptimizerChunk chunk = table.chunks[c];
    const OptimizerEntry entry = table.entries[chunk.entry];
    switch (static_cast<DType>(entry.type)) {
      case DType::float32: update_chunk<float>(rule, entry, chunk.begin); break;
      case DType::float16: update_chunk<float16>(rule, entry, chunk.begin); break;
      case DType::bfloat16: update_chunk<bfloat16>(rule, entry, chunk.begin); break;
      default: update_chunk<double>(rule, entry, chunk.begin); break;
    }
  }
}

namespace {

// A list of states is null when the rule has no such state.
template <class Rule>
void update(const Rule& rule, const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
            const std::vector<Tensor>* first = nullptr, const std::vector<Tensor>* second = nullptr,
            const std::vector<Tensor>* third = nullptr) {
  std::vector<OptimizerEntry> entries;
  std::vector<OptimizerChunk> chunks;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto state = [i](const std::vector<Tensor>* list) {
      return list == nullptr ? nullptr : detail::raw((*list)[i]);
    };
    const int64_t n = parameters[i].numel();
    for (int64_t begin = 0; begin < n; begin += chunk_elements)
      chunks.push_back({static_cast<int64_t>(entries.size()), begin});
    entries.push_back({detail::raw(parameters[i]),
                       detail::raw(gradients[i]),
                       {state(first), state(second), state(third)},
                       n,
                       static_cast<int64_t>(parameters[i].dtype())});
  }
  if (chunks.empty()) return;

  const size_t entry_bytes = entries.size() * sizeof(OptimizerEntry),
               chunk_bytes = chunks.size() * sizeof(OptimizerChunk);
  std::vector<std::byte> bytes(entry_bytes + chunk_bytes);
  std::memcpy(bytes.data(), entries.data(), entry_bytes);
  std::memcpy(bytes.data() + entry_bytes, chunks.data(), chunk_bytes);
  Context& context = Context::of(parameters.front());
  const auto* data = static_cast<const std::byte*>(context.table(bytes));
  const ChunkTable table{reinterpret_cast<const OptimizerEntry*>(data),
                         reinterpret_cast<const OptimizerChunk*>(data + entry_bytes),
                         static_cast<int64_t>(chunks.size())};
  launch(optimizer_kernel<Rule>, context.grid(table.count * 256), context, rule, table);
}

}  // namespace

void sgd_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                const std::vector<Tensor>& velocities, const SgdUpdate& options) {
  const SgdRule rule{options.lr,           options.momentum,   1 - options.dampening,
                     options.weight_decay, options.first_step, options.nesterov};
  update(rule, parameters, gradients, options.momentum == 0 ? nullptr : &velocities);
}

void adam_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                 const std::vector<Tensor>& means, const std::vector<Tensor>& squares, const AdamUpdate& options) {
  const auto step = static_cast<double>(options.step);
  const AdamRule rule{.rate = options.lr / (1 - std::pow(options.beta1, step)),
                      .root_correction = std::sqrt(1 - std::pow(options.beta2, step)),
                      .shrink = options.decoupled_decay ? 1 - options.lr * options.weight_decay : 1,
                      .decay = options.decoupled_decay ? 0 : options.weight_decay,
                      .fresh1 = 1 - options.beta1,
                      .beta2 = options.beta2,
                      .fresh2 = 1 - options.beta2,
                      .eps = options.eps};
  update(rule, parameters, gradients, &means, &squares);
}

void rmsprop_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& squares, const std::vector<Tensor>& means,
                    const std::vector<Tensor>& velocities, const RmspropUpdate& options) {
  const RmspropRule rule{.lr = options.lr,
                         .alpha = options.alpha,
                         .fresh = 1 - options.alpha,
                         .eps = options.eps,
                         .decay = options.weight_decay,
                         .momentum = options.momentum,
                         .centered = options.centered};
  update(rule, parameters, gradients, &squares, options.centered ? &means : nullptr,
         options.momentum == 0 ? nullptr : &velocities);
}

void adagrad_update(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
                    const std::vector<Tensor>& sums, const AdagradUpdate& options) {
  const AdagradRule rule{options.lr, options.eps, options.weight_decay, options.initial_sum};
  update(rule, parameters, gradients, &sums);
}

}  // namespace dnn::cuda
