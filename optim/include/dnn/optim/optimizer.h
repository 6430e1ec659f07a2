// Optimizer: the parameters, their state, and which of them take part in a step.
//
// A deriving class is one `update`: a formula over all tensors at once (dnn/ops/optim.h), so that a step is one launch
// on a GPU. A parameter takes part when a backward pass has written its gradient since `zero_grad`.
#pragma once

#include <string>
#include <vector>

#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

/// Parameters that are updated together: lists that run in parallel, all at the same step.
struct UpdateList {
  std::vector<Tensor> parameters;
  std::vector<Tensor> gradients;
  std::vector<std::vector<Tensor>> states;  ///< For each state of the optimizer the list over the parameters.
  int64_t step = 1;                         ///< Number of this update, 1 for the first; then the states are zero.
};

/// The base of all optimizers.
class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(Optimizer&&) noexcept = default;
  Optimizer& operator=(Optimizer&&) noexcept = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a fresh gradient, in place and outside autograd.
  void step();
  /// Forgets the gradients of all parameters.
  void zero_grad();

  /// The learning rate.
  double lr() const { return lr_; }
  /// Changes the learning rate from the next step on. Throws ArgumentError unless it is finite and not negative.
  void set_lr(double lr);
  /// What is optimized.
  const std::vector<Tensor>& parameters() const { return parameters_; }

  /// The learning rate ("lr") and, for every parameter that was updated, its number of updates and states under its
  /// place in the list ("3.step", "3.velocity"); shares memory with the optimizer.
  StateDict state_dict() const;
  /// Goes on where another optimizer of the same kind and parameters was: copies, so that states keep their addresses.
  /// Throws ArgumentError for a missing or unexpected name or a wrong shape; then nothing has changed.
  void load_state_dict(const StateDict& state);

 protected:
  /// `name` is for messages; `state_names` are what each parameter needs one tensor of its shape for. Throws
  /// ArgumentError without parameters, for an undefined, repeated or computed one, or for a bad learning rate.
  Optimizer(std::string name, std::vector<Tensor> parameters, double lr, std::vector<std::string> state_names);

  /// Applies the formula to parameters that are at the same step.
  virtual void update(const UpdateList& list) = 0;
  /// Throws ArgumentError "<name>: <option> is <value>, expected <expected>" unless `ok`.
  void check_option(bool ok, const char* option, double value, const char* expected) const;

 private:
  struct State {
    int64_t step = 0;             // updates so far
    std::vector<Tensor> tensors;  // one for each name, none before the first update
  };
  void prepare(State& state, const Tensor& parameter) const;

  std::string name_;
  std::vector<Tensor> parameters_;
  double lr_ = 0;
  std::vector<std::string> state_names_;
  std::vector<State> states_;  // one for each parameter
};

}  // namespace dnn
