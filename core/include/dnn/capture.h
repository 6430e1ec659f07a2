// Captured steps: work of a GPU that is recorded once as a CUDA graph and then repeated with a single launch.
//
//   auto step = capture([&](const Tensor& x, const Tensor& y) {
//     sgd.zero_grad();
//     Tensor loss = cross_entropy(net(x), y);
//     loss.backward();
//     sgd.step();
//     return loss;
//   });
//   for (const Batch& batch : loader) step(batch.input.to(gpu), batch.target.to(gpu));
//
// The first two calls with inputs of a shape are ordinary ones; the third is recorded, then launched, and the following
// ones are launches alone. Inputs are copied to fixed places; what a call returns is valid until the next one. Inputs
// of other shapes, types or devices, gradients switched on or off, another TF32 switch, another Autocast around it or
// another `mode` have a graph of their own. On a CPU a captured step is a plain call.
//
// The host code of a step does not run when it is repeated. What libdnn does there is done all the same: optimizers
// count their steps and use the learning rate of the moment, dropout and the random factories draw new numbers,
// gradients count as fresh, versions of tensors that are written grow. Numbers that the user's code computes are
// repeated as they were recorded; one that changes belongs into a tensor on the GPU, to be filled between the calls. A
// graph is kept only when operations, shapes and numbers were those of the call before; after three in vain the step
// stays an ordinary one, and `why_eager` tells what differed. The same goes for a step that draws random numbers on the
// host, or puts new tensors into its variables instead of changing those that are there. A step that waits for the GPU,
// copies from the host, computes on the CPU, changes an input in place or has hooks throws CaptureError when it is
// recorded, unless it is not `required`. Tensors that the step uses are watched: when one of them has moved
// (`set_data`, `to`), is gone, or gradients are in another state, the step is recorded anew after two ordinary calls.
//
// While one thread records, other threads wait with their work for that GPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/tensor.h"

namespace dnn {

/// A step that is being captured does what no graph can repeat, e.g. wait for the GPU.
class CaptureError : public Error {
 public:
  using Error::Error;
};

/// Options of `capture`.
struct CaptureOptions {
  /// Where inputs are brought first, and where a step without inputs works; not given: inputs stay where they are.
  std::optional<Device> device = std::nullopt;
  /// Asked before each call: calls of another mode have a graph of their own. `[&] { return net.training(); }` for a
  /// step that is called in training and in evaluation.
  std::function<int64_t()> mode = {};
  int64_t eager_calls = 2;  ///< Ordinary calls before one is recorded, of each shape; at least 1.
  int64_t most_graphs = 8;  ///< Graphs that are kept; beyond that the one unused for longest is dropped.
  /// Whether a step that cannot be recorded, since it waits for the GPU or copies from the host, throws CaptureError.
  /// Otherwise it stays an ordinary one.
  bool required = true;
};

namespace detail {

class StepGraphs;

// A captured step without the types of its arguments.
class CapturedStep {
 public:
  using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
  CapturedStep(Function step, CaptureOptions options);
  ~CapturedStep();
  CapturedStep(CapturedStep&&) noexcept;
  CapturedStep& operator=(CapturedStep&&) noexcept;

  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs);

  /// Graphs that are kept.
  int64_t graphs() const;
  /// Nodes of the graph launched last: kernels, copies and fills.
  int64_t nodes() const;
  /// Calls that were one launch of a graph.
  int64_t repetitions() const;
  /// Calls that were recorded.
  int64_t recordings() const;
  /// Why the last call was an ordinary one, or its graph was of no further use; empty when neither was so.
  const std::string& why_eager() const;
  /// Drops all graphs: the next call of each shape is recorded anew. For host code that has changed.
  void invalidate();

 private:
  std::unique_ptr<StepGraphs> graphs_;
};

// Whether the running call of a captured step is being recorded.
bool is_recording() noexcept;
// Runs what a step does to the host, now and before each repetition of the step that is being recorded; where the
// recording fails, `undo` takes it back. Both are kept: what they name must outlive the captured step.
void repeat(std::function<void()> effect, std::function<void()> undo);
// The step that is being recorded may be repeated only while `holds` says so; `what` for messages: "the learning rate".
void repeat_while(const char* what, std::function<bool()> holds);
// The running call of a captured step does something that no graph can repeat: "a forward hook".
void interrupt_capture(const char* what);

}  // namespace detail

/// A step that may be captured, made by `capture`; called like the function it was made of.
template <class Signature>
class Captured;

template <class Result, class... Args>
class Captured<Result(Args...)> : public detail::CapturedStep {
  static constexpr bool is_list = (std::is_same_v<std::decay_t<Args>, std::vector<Tensor>> || ...);
  static_assert((std::is_same_v<std::decay_t<Args>, Tensor> && ...) || (is_list && sizeof...(Args) == 1),
                "a captured step takes tensors, or one vector of them");
  static_assert(std::is_void_v<Result> || std::is_same_v<Result, Tensor> || std::is_same_v<Result, std::vector<Tensor>>,
                "a captured step returns a tensor, a vector of them, or nothing");

 public:
  Captured(std::function<Result(Args...)> step, CaptureOptions options)
      : CapturedStep(as_list(std::move(step), std::index_sequence_for<Args...>()), std::move(options)) {}

  /// The results for these inputs, valid until the next call. Throws what the step throws, and CaptureError.
  Result operator()(const std::decay_t<Args>&... inputs) {
    const auto run = [&] {
      if constexpr (is_list)
        return CapturedStep::operator()(inputs...);
      else
        return CapturedStep::operator()(std::vector<Tensor>{inputs...});
    };
    if constexpr (std::is_void_v<Result>)
      run();
    else if constexpr (std::is_same_v<Result, Tensor>)
      return run().front();
    else
      return run();
  }

 private:
  template <size_t... I>
  static Function as_list(std::function<Result(Args...)> step, std::index_sequence<I...>) {
    return [step = std::move(step)](const std::vector<Tensor>& inputs) -> std::vector<Tensor> {
      const auto run = [&]() -> Result {
        if constexpr (is_list)
          return step(inputs);
        else
          return step(inputs[I]...);
      };
      if constexpr (std::is_void_v<Result>)
        return run(), std::vector<Tensor>{};
      else if constexpr (std::is_same_v<Result, Tensor>)
        return {run()};
      else
        return run();
    };
  }
};

template <class Result, class... Args>
Captured(std::function<Result(Args...)>, CaptureOptions) -> Captured<Result(Args...)>;

/// A step of work that is recorded as a CUDA graph when it is called again and again; see above. `step` takes tensors,
/// or one vector of tensors, and returns a tensor, a vector of them, or nothing; its inputs and results are outside of
/// autograd. Throws ArgumentError for an option out of range.
template <class Step>
auto capture(Step step, CaptureOptions options = {}) {
  return Captured(std::function(std::move(step)), std::move(options));
}

}  // namespace dnn
