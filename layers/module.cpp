// Module: the walks over the tree of members, and the table of what a state dict does not fit.
#include "dnn/module.h"

#include <cxxabi.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <unordered_set>

#include "dnn/autograd.h"

namespace dnn {

namespace {

// ---- walks ---------------------------------------------------------------------------------------------------------

// The lists hold non-const pointers for those who change the tree; const functions only read through them.
detail::Members members_of(const Module& module) { return const_cast<Module&>(module).members(); }

struct TensorMember {
  std::string name, own_name;  // with the path, and as its owner calls it
  Tensor tensor;
  bool is_parameter;
  const Module* owner;
};

void collect(const Module& module, const std::string& prefix, std::vector<TensorMember>& found) {
  const detail::Members members = members_of(module);
  const auto add = [&](const std::string& name, const Tensor& tensor, bool is_parameter) {
    if (tensor.defined()) found.push_back({prefix + name, name, tensor, is_parameter, &module});
  };
  for (const auto& [name, value] : members)
    if (const auto* parameter = std::get_if<Parameter*>(&value)) add(name, **parameter, true);
  for (const auto& [name, value] : members)
    if (const auto* buffer = std::get_if<Buffer*>(&value)) add(name, **buffer, false);
  for (const auto& [name, value] : members)
    if (const auto* child = std::get_if<Module*>(&value)) collect(**child, prefix + name + ".", found);
}

std::vector<TensorMember> all_tensors(const Module& module) {
  std::vector<TensorMember> found;
  collect(module, "", found);
  return found;
}

// Drops tensors that came before under another name. All handles of a tensor see one Shape object.
void drop_repeated(std::vector<TensorMember>& found) {
  std::unordered_set<const Shape*> seen;
  std::erase_if(found, [&](const TensorMember& member) { return !seen.insert(&member.tensor.shape()).second; });
}

std::vector<TensorMember> distinct_tensors(const Module& module) {
  std::vector<TensorMember> found = all_tensors(module);
  drop_repeated(found);
  return found;
}

StateDict named(const Module& module, bool parameters) {
  StateDict result;
  for (const TensorMember& member : distinct_tensors(module))
    if (member.is_parameter == parameters) result.insert(member.name, member.tensor);
  return result;
}

std::vector<Tensor> tensors(const Module& module, bool parameters) {
  std::vector<Tensor> result;
  for (const TensorMember& member : distinct_tensors(module))
    if (member.is_parameter == parameters) result.push_back(member.tensor);
  return result;
}

// The distinct parameters one of whose names matches.
std::vector<TensorMember> matching(const char* where, const Module& module, const std::string& pattern) {
  std::vector<TensorMember> found = all_tensors(module);
  std::erase_if(found, [](const TensorMember& member) { return !member.is_parameter; });
  std::string names;
  constexpr size_t most_names = 6;
  for (size_t i = 0; i < std::min(found.size(), most_names); ++i) names += (i > 0 ? ", " : "") + found[i].name;
  if (found.size() > most_names) names += fmt::format(", ... {} in all", found.size());
  std::erase_if(found,
                [&](const TensorMember& member) { return fnmatch(pattern.c_str(), member.name.c_str(), 0) != 0; });
  if (found.empty())
    throw ArgumentError(fmt::format("{}: the pattern '{}' matches nothing, expected a parameter of {} ({})", where,
                                    pattern, module.type_name(), names));
  drop_repeated(found);
  return found;
}

// Gives every tensor the elements that `convert` makes of it, all or, when one cannot be made, none.
void convert_all(const Module& module, const std::function<Tensor(const TensorMember&)>& convert) {
  NoGrad no_grad;
  std::vector<std::pair<Tensor, Tensor>> converted;
  for (const TensorMember& member : distinct_tensors(module)) {
    const Tensor value = convert(member);
    if (!value.is_same(member.tensor)) converted.emplace_back(member.tensor, value);
  }
  for (auto& [tensor, value] : converted) tensor.set_data(value);
}

// What stands, up to a dot, before a missing name in a state, if it stands before all missing names or before all names
// of the state.
std::string prefix_of(const StateDict& state, const std::vector<LoadReport::Row>& missing) {
  for (const LoadReport::Row& row : missing) {
    const std::string ending = "." + row.name;
    for (const auto& [name, tensor] : state) {
      if (!name.ends_with(ending)) continue;
      const std::string prefix = name.substr(0, name.size() - row.name.size());
      if (std::ranges::all_of(missing, [&](const auto& other) { return state.contains(prefix + other.name); }) ||
          std::ranges::all_of(state, [&](const auto& other) { return other.name.starts_with(prefix); }))
        return prefix;
    }
  }
  return "";
}

// ---- cloning -------------------------------------------------------------------------------------------------------

// What is being cloned on this thread: for every tensor met so far its copy.
struct Cloning {
  int depth = 0;
  std::vector<std::pair<Tensor, Tensor>> copies;
};
thread_local Cloning cloning;

// ---- the tree as text ----------------------------------------------------------------------------------------------

void write_tree(const Module& module, const std::string& indent, std::string& text) {
  text += module.type_name() + "(" + module.describe();
  bool any = false;
  for (const auto& [name, value] : members_of(module)) {
    const auto* child = std::get_if<Module*>(&value);
    if (child == nullptr) continue;
    text += any ? "" : "\n", any = true;
    text += fmt::format("{}  ({}): ", indent, name);
    write_tree(**child, indent + "  ", text);
    text += "\n";
  }
  text += any ? indent + ")" : ")";
}

}  // namespace

// ---- Module --------------------------------------------------------------------------------------------------------

Module::~Module() = default;

Module::Module(const Module& other) : training_(other.training_) {
  if (cloning.depth == 0)
    throw ArgumentError(
        fmt::format("module: {} is copied, expected std::move(module) or module.clone()", other.type_name()));
}

void Module::train(bool on) {
  for (const auto& [name, module] : modules()) module->training_ = on;
}

StateDict Module::named_parameters() const { return named(*this, true); }
StateDict Module::named_buffers() const { return named(*this, false); }
std::vector<Tensor> Module::parameters() const { return tensors(*this, true); }
std::vector<Tensor> Module::buffers() const { return tensors(*this, false); }

StateDict Module::named_parameters(const std::string& pattern) const {
  StateDict result;
  for (const TensorMember& member : matching("named_parameters", *this, pattern))
    result.insert(member.name, member.tensor);
  return result;
}

std::vector<Tensor> Module::parameters(const std::string& pattern) const {
  std::vector<Tensor> result;
  for (const TensorMember& member : matching("parameters", *this, pattern)) result.push_back(member.tensor);
  return result;
}

int64_t Module::parameter_count(bool trainable_only) const {
  int64_t count = 0;
  for (const Tensor& parameter : parameters())
    if (!trainable_only || parameter.requires_grad()) count += parameter.numel();
  return count;
}

std::vector<NamedModule> Module::children() {
  std::vector<NamedModule> result;
  for (const auto& [name, value] : members())
    if (const auto* child = std::get_if<Module*>(&value)) result.push_back({name, *child});
  return result;
}

std::vector<NamedModule> Module::modules() {
  std::vector<NamedModule> result{{"", this}};
  for (const auto& [name, child] : children())
    for (const auto& [inner, module] : child->modules())
      result.push_back({inner.empty() ? name : fmt::format("{}.{}", name, inner), module});
  return result;
}

void Module::to(Device device) {
  convert_all(*this, [device](const TensorMember& member) { return member.tensor.to(device); });
}

void Module::to(DType dtype) {
  if (!is_floating(dtype))
    throw DTypeError(fmt::format("to: {} is asked for, expected a floating type for the weights of {}", name_of(dtype),
                                 type_name()));
  convert_all(*this, [dtype](const TensorMember& member) {
    return is_floating(member.tensor.dtype()) ? member.tensor.to(member.owner->storage_dtype(dtype)) : member.tensor;
  });
}

StateDict Module::state_dict() const {
  StateDict result;
  for (const TensorMember& member : all_tensors(*this)) result.insert(member.name, member.tensor.detach());
  return result;
}

LoadReport Module::compare_state_dict(const StateDict& state) const {
  LoadReport report{.module = type_name()};
  std::unordered_set<std::string> known;
  for (const TensorMember& member : all_tensors(*this)) {
    known.insert(member.name);
    const Shape& shape = member.tensor.shape();
    const Tensor* source = state.find(member.name);
    if (source != nullptr && source->shape() == shape)
      ++report.matched;
    else if (source != nullptr)
      report.misshaped.push_back({member.name, source->shape(), shape});
    else if (!member.owner->may_be_missing(member.own_name))
      report.missing.push_back({member.name, std::nullopt, shape});
  }
  for (const auto& [name, tensor] : state)
    if (!known.contains(name)) report.unexpected.push_back({name, tensor.shape(), std::nullopt});
  report.names = std::ssize(known);
  if (report.unexpected.size() == state.size()) report.prefix = prefix_of(state, report.missing);
  return report;
}

LoadReport Module::load_state_dict(const StateDict& state, const LoadOptions& options) {
  LoadReport report = compare_state_dict(state);
  LoadReport faults = report;
  if (!options.strict) faults.missing.clear(), faults.unexpected.clear();
  if (options.skip_misshaped) faults.misshaped.clear();
  if (!faults.complete())
    throw ArgumentError(
        fmt::format("load_state_dict: {} missing, {} unexpected, {} mis-shaped, expected the {} names of {}{}",
                    faults.missing.size(), faults.unexpected.size(), faults.misshaped.size(), faults.names,
                    faults.module, detail::load_table(faults)));
  NoGrad no_grad;
  for (TensorMember& member : all_tensors(*this)) {
    const Tensor* source = state.find(member.name);
    if (source != nullptr && source->shape() == member.tensor.shape()) member.tensor.copy_(*source);
  }
  return report;
}

void Module::zero_grad() {
  for (Tensor& parameter : parameters()) parameter.zero_grad();
}

void Module::requires_grad_(bool value) {
  for (Tensor& parameter : parameters()) parameter.set_requires_grad(value);
}

void Module::requires_grad_(const std::string& pattern, bool value) {
  for (TensorMember& member : matching("requires_grad_", *this, pattern)) member.tensor.set_requires_grad(value);
}

std::string Module::str() const {
  std::string text;
  write_tree(*this, "", text);
  return text;
}

std::string Module::type_name() const {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status), &std::free);
  const std::string full = status == 0 ? demangled.get() : typeid(*this).name();
  const std::string name = full.substr(0, full.find('<'));  // the arguments of a template may hold colons
  const size_t colon = name.rfind("::");
  return colon == std::string::npos ? name : name.substr(colon + 2);
}

std::unique_ptr<Module> Module::clone_unique() const { detail::throw_not_cloneable(*this); }

namespace detail {

CloneScope::CloneScope() { ++cloning.depth; }

CloneScope::~CloneScope() {
  if (--cloning.depth == 0) cloning.copies.clear();
}

void throw_not_cloneable(const Module& module) {
  throw ArgumentError(
      fmt::format("clone: {} has no DNN_MODULE of its own, expected one that names its children (empty "
                  "for none)",
                  module.type_name()));
}

Tensor copy_for_clone(const Tensor& t) {
  if (cloning.depth == 0 || !t.defined()) return t;
  for (const auto& [original, copy] : cloning.copies)
    if (original.is_same(t)) return copy;
  NoGrad no_grad;
  Tensor copy = t.detach().clone();
  if (t.requires_grad()) copy.set_requires_grad(true);
  cloning.copies.emplace_back(t, copy);
  return copy;
}

}  // namespace detail
}  // namespace dnn
