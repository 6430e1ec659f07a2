// Sequential: layers one after the other.
//
// It runs neighbours as one where that is the same computation and nobody looks at what is in between (no hook): a
// FusableLayer with the ReLU after it, a Linear with the GELU of form tanh after it, a small convolution with ReLU, if
// there is one, and max pooling after it where the device has kernels for that and, in evaluation without gradients, a
// convolution with the batch norm after it.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dnn/layer.h"

namespace dnn {

class BatchNorm2d;
class Conv2d;
class Linear;
class MaxPool2d;

namespace detail {

// A tensor as it was when something was computed from it.
struct Seen {
  Tensor tensor;
  uint64_t version;
};

// A layer of a Sequential, and what it is to its neighbours.
struct Link {
  std::unique_ptr<Layer> layer;
  std::string name;
  FusableLayer* fusable = nullptr;  // the layer itself, or nullptr when it is none of these
  Conv2d* conv = nullptr;
  Linear* linear = nullptr;
  BatchNorm2d* norm = nullptr;
  MaxPool2d* max_pool = nullptr;
  bool is_relu = false;
  bool is_gelu_tanh = false;
  // A convolution with the batch norm after it folded in, and the six tensors it was computed from.
  Tensor folded_weight, folded_bias;
  std::vector<Seen> folded_from;
};

// Constructor arguments of a Sequential: layers, but not another Sequential alone, which is moved or copied.
template <class... Ms>
inline constexpr bool are_layers = (std::derived_from<std::remove_cvref_t<Ms>, Layer> && ...);

}  // namespace detail

/// Layers one after the other, named "0", "1", ... unless they were given names; without layers it is the identity.
class Sequential : public Layer {
 public:
  Sequential() = default;
  /// Takes the layers over: `Sequential net(Flatten(), Linear(784, 128), ReLU(), Linear(128, 10))`.
  template <class... Ms>
  requires(sizeof...(Ms) > 0 && detail::are_layers<Ms...> &&
           !(sizeof...(Ms) == 1 && (std::derived_from<std::remove_cvref_t<Ms>, Sequential> &&
                                    ...))) explicit(sizeof...(Ms) == 1) Sequential(Ms&&... layers) {
    links_.reserve(sizeof...(Ms));
    (push_back(std::forward<Ms>(layers)), ...);
  }
  Sequential(Sequential&&) noexcept = default;
  Sequential& operator=(Sequential&&) noexcept = default;
  /// For `clone` alone: it throws ArgumentError anywhere else, as the copying of every module does.
  Sequential(const Sequential& other);

  /// Takes a layer over and puts it at the end.
  template <class M>
  requires(detail::are_layers<M>) void push_back(M&& layer) {
    static_assert(std::is_rvalue_reference_v<M&&> && !std::is_const_v<std::remove_reference_t<M>>,
                  "Sequential holds its layers: give it std::move(layer) or layer.clone()");
    push_back(std::unique_ptr<Layer>(std::make_unique<std::remove_cvref_t<M>>(std::forward<M>(layer))));
  }
  /// The same for a layer whose class is known at run time only. Throws ArgumentError for a null pointer.
  void push_back(std::unique_ptr<Layer> layer);
  /// The same, to be chained: `net.append(Linear(4, 8)).append(ReLU())`.
  template <class M>
  requires(detail::are_layers<M>) Sequential& append(M&& layer) {
    push_back(std::forward<M>(layer));
    return *this;
  }
  /// The same with a name, which stands in place of the number in the names of parameters. Throws ArgumentError for a
  /// name that is empty, is there already or holds a dot.
  template <class M>
  requires(detail::are_layers<M>) Sequential& append(const std::string& name, M&& layer) {
    check_name(name);
    push_back(std::forward<M>(layer));
    links_.back().name = name;
    return *this;
  }

  /// Number of layers.
  int64_t size() const { return static_cast<int64_t>(links_.size()); }
  /// Whether there is no layer.
  bool empty() const { return links_.empty(); }
  /// A layer by its number; negative ones count from the end. Throws IndexError.
  Layer& operator[](int64_t index);
  const Layer& operator[](int64_t index) const;
  /// A layer by its name; throws ArgumentError when there is none.
  Layer& at(const std::string& name);
  /// The layers, for range-based loops.
  auto begin() { return detail::IndexIterator<Sequential>{this, 0}; }
  auto end() { return detail::IndexIterator<Sequential>{this, size()}; }
  auto begin() const { return detail::IndexIterator<const Sequential>{this, 0}; }
  auto end() const { return detail::IndexIterator<const Sequential>{this, size()}; }

  Tensor forward(Tensor x) override;

  /// A deep copy.
  Sequential clone() const { return detail::clone(*this); }
  std::unique_ptr<Module> clone_unique() const override { return detail::clone_unique(*this); }
  detail::Members members() override;

 private:
  void check_name(const std::string& name) const;
  Tensor forward_folded(detail::Link& link, BatchNorm2d& norm, const Tensor& x, const Epilogue& epilogue);

  std::vector<detail::Link> links_;
};

}  // namespace dnn
