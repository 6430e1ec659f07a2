// ModuleList: modules of any classes in a list.
//
// A list of one class is simply a std::vector<Block> that DNN_MODULE names; this is for classes that differ, or that
// are known at run time only.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/module.h"

namespace dnn {

/// Modules named "0", "1", ..., which it owns. It computes nothing: the module around it decides what runs when.
class ModuleList : public Module {
 public:
  ModuleList() = default;
  /// Takes the modules over: `ModuleList heads(Linear(64, 10), Linear(64, 2))`.
  template <std::derived_from<Module>... Ms>
  requires(sizeof...(Ms) > 0 && (std::is_rvalue_reference_v<Ms&&> && ...) &&
           !(sizeof...(Ms) == 1 && (std::derived_from<Ms, ModuleList> && ...))) explicit ModuleList(Ms&&... modules) {
    (append(std::move(modules)), ...);
  }
  ModuleList(ModuleList&&) noexcept = default;
  ModuleList& operator=(ModuleList&&) noexcept = default;
  /// For `clone` alone: it throws ArgumentError anywhere else, as the copying of every module does.
  ModuleList(const ModuleList& other);

  /// Takes a module over and puts it at the end; returns *this.
  template <std::derived_from<Module> M>
  requires(!std::is_lvalue_reference_v<M>) ModuleList& append(M&& module) {
    return append(std::unique_ptr<Module>(std::make_unique<M>(std::move(module))));
  }
  /// The same for a module whose class is known at run time only. Throws ArgumentError for a null pointer.
  ModuleList& append(std::unique_ptr<Module> module);

  /// Number of modules.
  int64_t size() const { return static_cast<int64_t>(modules_.size()); }
  /// Whether there is no module.
  bool empty() const { return modules_.empty(); }
  /// A module by its number; negative ones count from the end. Throws IndexError.
  Module& operator[](int64_t index);
  const Module& operator[](int64_t index) const;
  /// The same as its class, to be called: `list.get<Linear>(0)(x)`. Throws ArgumentError when it is of another class.
  template <std::derived_from<Module> M>
  M& get(int64_t index) {
    Module& module = (*this)[index];
    M* const found = dynamic_cast<M*>(&module);
    if (found == nullptr) throw_other_class(index, module);
    return *found;
  }
  /// The modules, for range-based loops.
  auto begin() { return detail::IndexIterator<ModuleList>{this, 0}; }
  auto end() { return detail::IndexIterator<ModuleList>{this, size()}; }
  auto begin() const { return detail::IndexIterator<const ModuleList>{this, 0}; }
  auto end() const { return detail::IndexIterator<const ModuleList>{this, size()}; }

  /// A deep copy.
  ModuleList clone() const { return detail::clone(*this); }
  std::unique_ptr<Module> clone_unique() const override { return detail::clone_unique(*this); }
  detail::Members members() override;

 private:
  [[noreturn]] static void throw_other_class(int64_t index, const Module& module);

  std::vector<std::unique_ptr<Module>> modules_;
};

}  // namespace dnn
