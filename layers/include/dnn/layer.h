// Layer: a module with one tensor in and one tensor out. FusableLayer: one that can apply what follows it by itself.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/module.h"
#include "dnn/ops/linear.h"
#include "dnn/profile.h"

namespace dnn {

class Layer;

namespace detail {

// One layer that is running on this thread. When an error passes through the outermost one, its text gets the path of
// the layer that failed: "features.3 (Conv2d): conv2d: input has 4 channels, ...". A profiler is told the path of each.
class RunningLayer {
 public:
  explicit RunningLayer(Layer& layer);
  ~RunningLayer();
  RunningLayer(const RunningLayer&) = delete;
  RunningLayer& operator=(const RunningLayer&) = delete;
  void failed(Error& error);

 private:
  void profile();

  Layer& layer_;
  ProfileRange range_;
};

}  // namespace detail

/// A module that computes one tensor from one tensor; deriving classes implement `forward`, callers use `layer(x)`.
class Layer : public Module {
 public:
  /// What a forward hook is called with, after the layer.
  using ForwardHook = std::function<void(const Layer& layer, const Tensor& input, const Tensor& output)>;

  Layer() = default;
  Layer(Layer&&) noexcept = default;
  Layer& operator=(Layer&&) noexcept = default;

  /// Computes the output and calls the hooks. An error from inside names the layer by its path and keeps its type.
  Tensor operator()(const Tensor& x) {
    return run(x, [&] { return forward(x); });
  }
  /// The same for an input that nobody needs afterwards: the layer may use its memory.
  Tensor operator()(Tensor&& x) {
    const Tensor& seen = x;
    if (has_forward_hooks()) return (*this)(seen);
    return run(seen, [&] { return forward(std::move(x)); });
  }
  /// The computation itself.
  virtual Tensor forward(Tensor x) = 0;

  /// Multiplications with an addition that one call takes, from the shapes of input and output: convolutions and
  /// products count, what costs little beside them is 0. `summary` adds them up.
  virtual int64_t macs(const Shape& /*input*/, const Shape& /*output*/) const { return 0; }

  /// Calls `hook` after every call of this layer; returns the number to give to `remove_forward_hook`.
  int register_forward_hook(ForwardHook hook);
  /// Takes a hook away again.
  void remove_forward_hook(int id);
  /// Whether there are hooks; containers do not fuse a layer that somebody looks at.
  bool has_forward_hooks() const { return !hooks_.empty(); }

 protected:
  Layer(const Layer& other) : Module(other) {}

  /// Runs `compute` as a call of this layer: for layers with a call operator of their own.
  template <class Compute>
  Tensor run(const Tensor& x, Compute&& compute) {
    detail::RunningLayer running(*this);
    const bool watched = has_forward_hooks();  // one that is registered while it runs may find its input moved away
    try {
      Tensor y = compute();
      if (watched) call_hooks(x, y);
      return y;
    } catch (Error& error) {
      running.failed(error);
      throw;
    }
  }

 private:
  friend class Sequential;
  struct Hook {
    int id;
    ForwardHook call;
  };
  void call_hooks(const Tensor& x, const Tensor& y) const;

  std::vector<Hook> hooks_;
};

/// What follows a layer and is computed by its own kernel: relu(layer(x) + add).
struct Epilogue {
  Tensor add = {};         ///< Added to the result, of its shape.
  bool relu = false;       ///< Whether ReLU follows.
  bool gelu_tanh = false;  ///< Whether GELU of the form GeluForm::tanh follows.

  /// The one that follows; throws ArgumentError for both.
  Activation activation() const;
};

/// A layer whose kernel can add a tensor to the result and apply ReLU; deriving classes implement `forward_fused`.
class FusableLayer : public Layer {
 public:
  using Layer::operator();
  /// relu(layer(x) + add), as far as it is asked for: `bn2(y, {.add = x, .relu = true})`.
  Tensor operator()(const Tensor& x, const Epilogue& epilogue) {
    return run(x, [&] { return forward_fused(x, epilogue); });
  }
  /// The same for an input that nobody needs afterwards.
  Tensor operator()(Tensor&& x, const Epilogue& epilogue) {
    const Tensor& seen = x;
    if (has_forward_hooks()) return (*this)(seen, epilogue);
    return run(seen, [&] { return forward_fused(std::move(x), epilogue); });
  }
  /// The computation itself.
  virtual Tensor forward_fused(Tensor x, const Epilogue& epilogue) = 0;
  Tensor forward(Tensor x) final { return forward_fused(std::move(x), {}); }
};

}  // namespace dnn
