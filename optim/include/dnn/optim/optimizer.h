// Optimizer: the parameters, their state, and which of them take part in a step.
//
// A deriving class is one `update`: a formula over all tensors at once (dnn/ops/optim.h), so that a step is one launch
// on a GPU. A parameter takes part when a backward pass has written its gradient since `zero_grad`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dnn/ops/optim.h"
#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

/// Parameters that are updated together: lists that run in parallel, all at the same step.
struct UpdateList {
  std::vector<Tensor> parameters;
  std::vector<Tensor> gradients;
  std::vector<std::vector<Tensor>> states;  ///< For each state of the optimizer the list over the parameters.
  int64_t step = 1;                         ///< Number of this update, 1 for the first; then the states are zero.
  size_t group = 0;                         ///< The group whose options count.
  UpdateControl control = {};               ///< To be handed on to the rule.
};

/// What a step reads from its device's memory, so that the host need not know it. Each is undefined or one number [],
/// float32 (the factor also float64), on the device of the parameters.
struct StepControl {
  Tensor factor = {};  ///< Multiplies every gradient: what `measure_gradients` gives, to clip or to take off a scale.
  Tensor skip = {};    ///< Other than 0: nothing changes, and the step does not count as one of the parameters'.
};

/// Parameters with options of their own, e.g. a small learning rate for the layers that are trained already:
/// `SGD sgd({{backbone.parameters(), {.lr = 1e-3}}, {head.parameters(), {.lr = 1e-2}}})`.
template <class Options>
struct ParameterGroup {
  std::vector<Tensor> parameters;
  Options options;  ///< All of them: nothing is taken over from other groups.
};

/// The base of all optimizers.
class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(Optimizer&&) noexcept = default;
  Optimizer& operator=(Optimizer&&) noexcept = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a fresh gradient, in place, outside autograd. A throw leaves groups whole.
  void step(const StepControl& control = {});
  /// Forgets the gradients of all parameters.
  void zero_grad();

  /// The learning rate of a group, as the next step uses it. Throws IndexError when there is no such group.
  double lr(size_t group = 0) const;
  /// Changes the learning rate of all groups from the next step on, and what `scale_lr` said is forgotten. Throws
  /// ArgumentError unless it is finite and not negative.
  void set_lr(double lr);
  /// The same for one group; throws also IndexError.
  void set_lr(size_t group, double lr);
  /// Makes the learning rate of each group `factor` times the one that it was made with or `set_lr` gave it: how
  /// schedules act. Throws ArgumentError unless the factor is finite and not negative.
  void scale_lr(double factor);
  /// Multiplies the learning rates once more, on top of `scale_lr`: for who makes the steps, as Trainer does, and takes
  /// it back with 1 after each. It is in no state. Throws ArgumentError unless it is finite and not negative.
  void scale_step(double factor);
  /// Whether captured steps follow the learning rate: not where an update has asked `lr` while it was recorded (see
  /// `rate`).
  bool follows_rate() const { return !asked_; }
  /// Number of groups.
  size_t groups() const { return rates_.size(); }
  /// What is optimized, one group after the other.
  const std::vector<Tensor>& parameters() const { return parameters_; }

  /// The learning rates of the groups before `scale_lr` ("lr", [] for one group, else [groups]), what that multiplies
  /// them by unless it is 1 for all ("scale", of the same shape) and, for every parameter that was updated, its number
  /// of updates and states under its place in the list ("3.step", "3.velocity"); shares memory with the optimizer.
  StateDict state_dict() const;
  /// Goes on where another optimizer of the same kind and parameters was: copies, so that states keep their addresses.
  /// Throws ArgumentError for a missing or unexpected name or a wrong shape; then nothing has changed.
  void load_state_dict(const StateDict& state);

 protected:
  /// `name` is for messages, `groups` are the parameters of each group and `rates` their learning rates; `state_names`
  /// are what each parameter needs one tensor of its shape for. Throws ArgumentError without parameters or for an empty
  /// group, for an undefined, repeated or computed parameter, or for a bad learning rate.
  Optimizer(std::string name, const std::vector<std::vector<Tensor>>& groups, const std::vector<double>& rates,
            std::vector<std::string> state_names);

  /// Applies the formula to parameters that are at the same step.
  virtual void update(const UpdateList& list) = 0;
  /// The learning rate of a group that exists, for a rule that hands `UpdateList::control` on, whose `lr` takes the
  /// place of the rate in the options and follows it when a captured step is repeated; a rule with another rate
  /// replaces it. Where `lr` is asked instead, such a step is recorded anew when the rate changes.
  double rate(size_t group) const { return rates_[group] * scales_[group] * step_scale_; }
  /// Throws ArgumentError "<name>: <option> is <value>, expected <expected>" unless `ok`.
  void check_option(bool ok, const char* option, double value, const char* expected) const;

 private:
  struct State {
    int64_t step = 0;             // updates so far, those included that were skipped
    size_t skips = none;          // which of `skipped_` counts those
    std::vector<Tensor> tensors;  // one for each name, none before the first update
  };
  static constexpr size_t none = ~size_t{0};
  void prepare(State& state, const Tensor& parameter) const;
  void count_skips(const std::vector<size_t>& members);
  void check_rate(const char* what, double value) const;
  void check_group(size_t group) const;
  Shape shape_of_rates() const;

  std::string name_;
  std::vector<Tensor> parameters_;
  std::vector<size_t> group_of_;        // of each parameter
  std::vector<double> rates_, scales_;  // of each group; the rate is their product
  double step_scale_ = 1;
  mutable bool asked_ = false;  // for the rate by what is being recorded
  std::vector<std::string> state_names_;
  std::vector<State> states_;    // one for each parameter
  std::vector<Tensor> skipped_;  // counters on the device, float32 []: one for all parameters with the same history
};

namespace detail {

// The two halves of groups, as the base takes them.
template <class Options>
std::vector<std::vector<Tensor>> parameters_of(const std::vector<ParameterGroup<Options>>& groups) {
  std::vector<std::vector<Tensor>> lists;
  for (const auto& group : groups) lists.push_back(group.parameters);
  return lists;
}
template <class Options>
std::vector<Options> options_of(const std::vector<ParameterGroup<Options>>& groups) {
  std::vector<Options> options;
  for (const auto& group : groups) options.push_back(group.options);
  return options;
}
template <class Options>
std::vector<double> rates_of(const std::vector<ParameterGroup<Options>>& groups) {
  std::vector<double> rates;
  for (const auto& group : groups) rates.push_back(group.options.lr);
  return rates;
}

}  // namespace detail

}  // namespace dnn
