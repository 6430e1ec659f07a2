// Module: what has parameters, buffers and modules inside, and can be trained, moved to a device, saved and cloned.
//
//   class BasicBlock : public dnn::Layer {
//     Conv2d conv1, conv2;  BatchNorm2d bn1, bn2;  Sequential downsample;
//     DNN_MODULE(conv1, bn1, conv2, bn2, downsample)
//     Tensor forward(Tensor x) override { ... }
//   };
//
// Members are plain values. DNN_MODULE names the children once; names, lists, state dicts, conversions and clones
// follow from it. Modules move and never copy: two nets with one set of weights is what nobody means.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <variant>
#include <vector>

#include "dnn/load_report.h"
#include "dnn/parameter.h"
#include "dnn/state_dict.h"
#include "dnn/tensor.h"

namespace dnn {

class Module;

/// A module inside another and its dotted name, e.g. "layer1.0.conv1".
struct NamedModule {
  std::string name;
  Module* module;
};

namespace detail {
// What DNN_MODULE lists.
struct Member {
  std::string name;
  std::variant<Parameter*, Buffer*, Module*> value;
};
using Members = std::vector<Member>;
}  // namespace detail

/// The base of all layers and networks.
class Module {
 public:
  Module() = default;
  virtual ~Module();
  Module(Module&&) noexcept = default;
  Module& operator=(Module&&) noexcept = default;
  Module& operator=(const Module&) = delete;

  /// Switches this module and all inside between training and evaluation (dropout, batch norm).
  void train(bool on = true);
  /// The same as train(false).
  void eval() { train(false); }
  /// Whether it is in training, as it is at first.
  bool training() const { return training_; }

  /// All parameters by dotted name, own ones before those of children; one that is shared comes once.
  StateDict named_parameters() const;
  /// All buffers by dotted name, in the same way.
  StateDict named_buffers() const;
  /// The parameters, as an optimizer takes them.
  std::vector<Tensor> parameters() const;
  /// The parameters whose names match a pattern as shells have it (* any text, ? any character, [abc] one of these):
  /// "features.*", "*.bias". Throws ArgumentError when there is none.
  StateDict named_parameters(const std::string& pattern) const;
  /// The same without names, as a group of an optimizer.
  std::vector<Tensor> parameters(const std::string& pattern) const;
  /// The buffers.
  std::vector<Tensor> buffers() const;
  /// Number of elements of all parameters, or of those that require a gradient.
  int64_t parameter_count(bool trainable_only = false) const;
  /// The modules directly inside. The pointers are good until this module moves.
  std::vector<NamedModule> children();
  /// This module, under the name "", and all inside, outer before inner ones.
  std::vector<NamedModule> modules();

  /// Moves all parameters and buffers to a device. They stay the same tensors, so optimizers made before go on;
  /// gradients are dropped. Nothing has changed when it throws (DeviceError, OutOfMemory).
  void to(Device device);
  /// Converts all floating parameters and buffers, in the same way. Throws DTypeError unless the type is floating.
  void to(DType dtype);

  /// All parameters and buffers by dotted name, sharing memory with the module; as in PyTorch, a shared parameter comes
  /// under each of its names.
  StateDict state_dict() const;
  /// Overwrites the elements of parameters and buffers with those of the same name, converted to type and device of the
  /// module. Throws ArgumentError with a table of the missing, unexpected and mis-shaped names, unless `options` puts
  /// up with them; then nothing has changed. Returns what it was to put up with.
  LoadReport load_state_dict(const StateDict& state, const LoadOptions& options = {});
  /// How a state fits, without loading it.
  LoadReport compare_state_dict(const StateDict& state) const;

  /// Forgets the gradients of all parameters.
  void zero_grad();
  /// Makes all parameters require a gradient, or freezes them.
  void requires_grad_(bool value = true);
  /// The same for the parameters whose names match a pattern, as in `named_parameters`:
  /// `net.requires_grad_("features.*", false)` freezes them. Throws ArgumentError when there is none.
  void requires_grad_(const std::string& pattern, bool value);
  /// The same; without it a literal alone would count as `true`.
  void requires_grad_(const char* pattern, bool value = true) { requires_grad_(std::string(pattern), value); }

  /// The tree of modules with their sizes, one per line.
  std::string str() const;
  /// The name of the class, e.g. "Conv2d".
  virtual std::string type_name() const;
  /// What stands in the brackets of `str`, e.g. "3, 64, kernel=11".
  virtual std::string describe() const { return ""; }

  /// A deep copy, as a pointer; DNN_MODULE also defines `clone()`, which returns it as a value of its own class. Hooks
  /// are not copied. Throws ArgumentError for a class without DNN_MODULE.
  virtual std::unique_ptr<Module> clone_unique() const;
  /// What DNN_MODULE lists.
  virtual detail::Members members() { return {}; }
  /// The type in which this module keeps its own floating tensors after `to(requested)`; batch norm keeps float32.
  virtual DType storage_dtype(DType requested) const { return requested; }
  /// Whether a state is complete without the own tensor of that name: batch norm's count of batches, which the files of
  /// PyTorch before 0.4.1 do not have and PyTorch does not miss.
  virtual bool may_be_missing(const std::string& /*name*/) const { return false; }

 protected:
  /// For `clone` alone. C++ writes the copying of a module's members only where it can copy the base, so this cannot be
  /// refused by the compiler; it throws ArgumentError anywhere else.
  Module(const Module& other);

 private:
  bool training_ = true;
};

namespace detail {

// While it lives, this thread may copy modules, and parameters are duplicated rather than shared.
class CloneScope {
 public:
  CloneScope();
  ~CloneScope();
  CloneScope(const CloneScope&) = delete;
  CloneScope& operator=(const CloneScope&) = delete;
};

// Throws ArgumentError: the class of `module` has no DNN_MODULE of its own.
[[noreturn]] void throw_not_cloneable(const Module& module);

template <std::derived_from<Module> M>
M clone(const M& module) {
  if (typeid(module) != typeid(M)) throw_not_cloneable(module);
  CloneScope scope;
  return M(module);
}

template <std::derived_from<Module> M>
std::unique_ptr<Module> clone_unique(const M& module) {
  if (typeid(module) != typeid(M)) throw_not_cloneable(module);
  CloneScope scope;
  return std::make_unique<M>(module);
}

// The elements of a container by number, for range-based loops.
template <class Container>
struct IndexIterator {
  Container* container;
  int64_t index;
  decltype(auto) operator*() const { return (*container)[index]; }
  IndexIterator& operator++() {
    ++index;
    return *this;
  }
  bool operator==(const IndexIterator&) const = default;
};

inline void append(Members& list, const std::string& name, Parameter& parameter) { list.push_back({name, &parameter}); }
inline void append(Members& list, const std::string& name, Buffer& buffer) { list.push_back({name, &buffer}); }
inline void append(Members& list, const std::string& name, Module& module) { list.push_back({name, &module}); }
template <class T>
void append(Members& list, const std::string& name, std::optional<T>& value) {
  if (value) append(list, name, *value);
}
template <class T>
void append(Members& list, const std::string& name, std::vector<T>& values) {
  for (size_t i = 0; i < values.size(); ++i) append(list, name + "." + std::to_string(i), values[i]);
}

// The members that DNN_MODULE gets, with their names from its text "conv1, bn1, downsample".
template <class... Ts>
Members list_members(std::string_view names, Ts&... values) {
  Members list;
  [[maybe_unused]] const auto next = [&names] {
    const size_t comma = names.find(',');
    const std::string_view name = names.substr(0, comma);
    names.remove_prefix(comma == std::string_view::npos ? names.size() : names.find_first_not_of(' ', comma + 1));
    return std::string(name);
  };
  (append(list, next(), values), ...);
  return list;
}

}  // namespace detail

/// Names the children of a module, in order: members that are Parameter, Buffer, modules, or vectors or optionals of
/// them. It also defines `clone()`; a class without children that is to be cloned writes `DNN_MODULE()`. What follows
/// it in the class is public.
#define DNN_MODULE(...)                                                                                         \
 public:                                                                                                        \
  auto clone() const { return ::dnn::detail::clone(*this); }                                                    \
  ::std::unique_ptr<::dnn::Module> clone_unique() const override { return ::dnn::detail::clone_unique(*this); } \
  ::dnn::detail::Members members() override {                                                                   \
    return ::dnn::detail::list_members(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__);                                \
  }

}  // namespace dnn
