// A list of modules of any classes.
#include "dnn/layers/module_list.h"

#include <fmt/format.h>

namespace dnn {

ModuleList::ModuleList(const ModuleList& other) : Module(other) {
  for (const std::unique_ptr<Module>& module : other.modules_) append(module->clone_unique());
}

ModuleList& ModuleList::append(std::unique_ptr<Module> module) {
  if (module == nullptr) throw ArgumentError("ModuleList: the module is a null pointer, expected a module");
  modules_.push_back(std::move(module));
  return *this;
}

const Module& ModuleList::operator[](int64_t index) const {
  if (index < -size() || index >= size())
    throw IndexError(fmt::format("ModuleList: the index is {}, expected {} <= index < {}", index, -size(), size()));
  return *modules_[static_cast<size_t>(index < 0 ? index + size() : index)];
}

Module& ModuleList::operator[](int64_t index) { return const_cast<Module&>(std::as_const(*this)[index]); }

void ModuleList::throw_other_class(int64_t index, const Module& module) {
  throw ArgumentError(
      fmt::format("ModuleList: module {} is a {}, expected the class that is asked for", index, module.type_name()));
}

detail::Members ModuleList::members() {
  detail::Members list;
  for (size_t i = 0; i < modules_.size(); ++i) list.push_back({std::to_string(i), modules_[i].get()});
  return list;
}

}  // namespace dnn
