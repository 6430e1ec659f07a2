// Optimizer: collects what takes part in a step, and owns the states.
#include "dnn/optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_set>

#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/error.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

std::string key(size_t parameter, const std::string& what) { return fmt::format("{}.{}", parameter, what); }

}  // namespace

Optimizer::~Optimizer() = default;

Optimizer::Optimizer(std::string name, const std::vector<std::vector<Tensor>>& groups, const std::vector<double>& rates,
                     std::vector<std::string> state_names)
    : name_(std::move(name)), rates_(rates), scales_(rates.size(), 1.0), state_names_(std::move(state_names)) {
  for (size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].empty() && groups.size() > 1)
      throw ArgumentError(fmt::format("{}: group {} has no parameters, expected at least one", name_, g));
    parameters_.insert(parameters_.end(), groups[g].begin(), groups[g].end());
    group_of_.resize(parameters_.size(), g);
  }
  if (parameters_.empty())
    throw ArgumentError(fmt::format("{}: there are no parameters, expected at least one", name_));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i];
    const auto fail = [&](const char* what) {
      throw ArgumentError(fmt::format("{}: parameter {} {}", name_, i, what));
    };
    if (!parameter.defined()) fail("is undefined, expected a tensor");
    if (!parameter.is_leaf()) fail("is the result of an operation, expected a leaf");
    if (std::any_of(parameters_.begin(), parameters_.begin() + static_cast<std::ptrdiff_t>(i),
                    [&](const Tensor& before) { return before.is_same(parameter); }))
      fail("is in the list twice, expected each once");
  }
  states_.resize(parameters_.size());
  for (const double rate : rates_) check_rate("lr", rate);
}

void Optimizer::check_rate(const char* what, double value) const {
  check_option(std::isfinite(value) && value >= 0, what, value, "a finite number, at least 0");
}

void Optimizer::check_group(size_t group) const {
  if (group >= rates_.size())
    throw IndexError(fmt::format("{}: there is no group {}, expected 0 to {}", name_, group, rates_.size() - 1));
}

double Optimizer::lr(size_t group) const {
  check_group(group);
  const double now = rate(group);
  // Who asks may use it in a way that a captured step cannot follow.
  if (detail::is_recording()) {
    asked_ = true;
    detail::repeat_while("a learning rate", [this, group, now] { return rate(group) == now; });
  }
  return now;
}

void Optimizer::set_lr(double lr) {
  check_rate("lr", lr);
  std::fill(rates_.begin(), rates_.end(), lr);
  std::fill(scales_.begin(), scales_.end(), 1.0);
}

void Optimizer::set_lr(size_t group, double lr) {
  check_group(group);
  check_rate("lr", lr);
  rates_[group] = lr;
  scales_[group] = 1;
}

void Optimizer::scale_lr(double factor) {
  check_rate("factor of the lr", factor);
  std::fill(scales_.begin(), scales_.end(), factor);
}

void Optimizer::scale_step(double factor) {
  check_rate("factor of the lr", factor);
  step_scale_ = factor;
}

void Optimizer::check_option(bool ok, const char* option, double value, const char* expected) const {
  if (!ok) throw ArgumentError(fmt::format("{}: {} is {}, expected {}", name_, option, value, expected));
}

// A parameter that moved to another device or type since takes its state along. A state gets all its tensors or none.
void Optimizer::prepare(State& state, const Tensor& parameter) const {
  if (state.tensors.empty()) {
    std::vector<Tensor> fresh;
    for (size_t k = 0; k < state_names_.size(); ++k) fresh.push_back(zeros_like(parameter));
    state.tensors = std::move(fresh);
  }
  for (Tensor& tensor : state.tensors) tensor = tensor.to(parameter.device()).to(parameter.dtype());
}

// Gives the parameters whose update may be skipped their counters. One counter serves those of a group that have taken
// part in the same steps, that is, those of one launch, which counts; who is absent this time keeps the one it had.
void Optimizer::count_skips(const std::vector<size_t>& members) {
  std::vector<size_t> users(skipped_.size()), present(skipped_.size());
  for (const State& state : states_)
    if (state.skips != none) ++users[state.skips];
  for (const size_t i : members)
    if (states_[i].skips != none) ++present[states_[i].skips];
  std::map<std::tuple<size_t, size_t, int64_t>, size_t> replaced;
  for (const size_t i : members) {
    size_t& skips = states_[i].skips;
    if (skips != none && users[skips] == present[skips]) continue;
    const auto [place, fresh] = replaced.try_emplace({skips, group_of_[i], states_[i].step}, skipped_.size());
    if (fresh)
      skipped_.push_back(skips == none ? zeros({}, {.device = parameters_[i].device()}) : skipped_[skips].clone());
    skips = place->second;
  }
}

void Optimizer::step(const StepControl& control) {
  NoGrad no_grad;
  if (detail::is_recording())  // states that begin in a step that is not made have no values
    detail::repeat([] {}, [this, states = states_, skipped = skipped_] { states_ = states, skipped_ = skipped; });
  std::vector<size_t> members;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].has_grad()) continue;
    prepare(states_[i], parameters_[i]);
    members.push_back(i);
  }
  if (control.skip.defined()) count_skips(members);
  // Parameters differ in their step when some got their first gradient later than others; in most nets none do.
  struct Part {
    UpdateList list;
    std::vector<size_t> members;
  };
  std::map<std::tuple<size_t, int64_t, size_t>, Part> parts;
  for (const size_t i : members) {
    State& state = states_[i];
    auto& [list, part_members] = parts[{group_of_[i], state.step + 1, state.skips}];
    part_members.push_back(i);
    list.step = state.step + 1;
    list.group = group_of_[i];
    list.control = {.factor = control.factor, .skip = control.skip};
    list.control.lr = [this, group = group_of_[i]] { return rate(group); };
    list.control.step = [this, first = part_members.front()] { return states_[first].step + 1; };
    if (state.skips != none)
      list.control.skipped = skipped_[state.skips] = skipped_[state.skips].to(parameters_[i].device());
    list.parameters.push_back(parameters_[i]);
    list.gradients.push_back(parameters_[i].grad());
    list.states.resize(state_names_.size());
    for (size_t k = 0; k < state_names_.size(); ++k) list.states[k].push_back(state.tensors[k]);
  }
  for (const auto& [key, part] : parts) {
    update(part.list);
    if (detail::is_recording() && part.members.size() > 1)
      detail::repeat_while("which parameters are at the same step", [this, members = part.members] {
        return std::all_of(members.begin(), members.end(),
                           [&](size_t i) { return states_[i].step == states_[members.front()].step; });
      });
    const auto count = [this, members = part.members] {
      for (const size_t i : members) ++states_[i].step;
    };
    detail::repeat(count, [] {});  // at once: the next part may fail
  }
}

void Optimizer::zero_grad() {
  for (Tensor& parameter : parameters_) parameter.zero_grad();
}

Shape Optimizer::shape_of_rates() const {
  return rates_.size() == 1 ? Shape{} : Shape{static_cast<int64_t>(rates_.size())};
}

StateDict Optimizer::state_dict() const {
  StateDict result;
  const Shape shape = shape_of_rates();
  result.insert("lr", from_values(rates_, shape));
  if (std::any_of(scales_.begin(), scales_.end(), [](double scale) { return scale != 1; }))
    result.insert("scale", from_values(scales_, shape));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const State& state = states_[i];
    if (state.step == 0) continue;
    Tensor step = full({}, state.step, {.dtype = DType::int64});
    if (state.skips != none) {
      const Tensor& skipped = skipped_[state.skips];
      step = step.to(skipped.device()) - skipped.to(DType::int64);
    }
    result.insert(key(i, "step"), step);
    for (size_t k = 0; k < state_names_.size(); ++k) result.insert(key(i, state_names_[k]), state.tensors[k]);
  }
  return result;
}

void Optimizer::load_state_dict(const StateDict& state) {
  std::unordered_set<std::string> taken;
  const auto take = [&](const std::string& name, const Shape& shape) -> const Tensor& {
    const Tensor* tensor = state.find(name);
    if (tensor == nullptr) throw ArgumentError(fmt::format("{}: the state has no '{}'", name_, name));
    if (tensor->shape() != shape)
      throw ArgumentError(fmt::format("{}: '{}' of the state has shape {}, expected {}", name_, name,
                                      tensor->shape().str(), shape.str()));
    taken.insert(name);
    return *tensor;
  };
  const auto take_rates = [&](const char* name) {
    const std::vector<double> rates = take(name, shape_of_rates()).to(DType::float64).to_vector<double>();
    for (const double rate : rates) check_rate(fmt::format("{} of the state", name).c_str(), rate);
    return rates;
  };
  const std::vector<double> rates = take_rates("lr");
  const std::vector<double> scales =
      state.contains("scale") ? take_rates("scale") : std::vector<double>(rates.size(), 1.0);
  std::vector<State> loaded(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!state.contains(key(i, "step"))) continue;
    const double step = take(key(i, "step"), {}).item();
    check_option(step >= 0 && step < 0x1p53, "step of the state", step, "a count");
    loaded[i].step = static_cast<int64_t>(step);
    for (const std::string& name : state_names_)
      loaded[i].tensors.push_back(take(key(i, name), parameters_[i].shape()));
  }
  for (const auto& [name, tensor] : state) {
    if (!taken.contains(name))
      throw ArgumentError(fmt::format("{}: '{}' of the state is unexpected (there are {} parameters)", name_, name,
                                      parameters_.size()));
  }

  NoGrad no_grad;
  skipped_.clear();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    states_[i].step = loaded[i].step;
    states_[i].skips = none;
    if (loaded[i].step > 0) prepare(states_[i], parameters_[i]);
    for (size_t k = 0; k < states_[i].tensors.size(); ++k) {
      if (loaded[i].step > 0)
        states_[i].tensors[k].copy_(loaded[i].tensors[k]);
      else
        states_[i].tensors[k].zero_();
    }
  }
  rates_ = rates;
  scales_ = scales;
}

}  // namespace dnn
