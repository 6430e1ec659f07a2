// StateDict: named tensors in order. What a model or an optimizer is made of, and what a checkpoint holds.
#pragma once

#include <initializer_list>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dnn/error.h"
#include "dnn/tensor.h"

namespace dnn {

/// Tensors by name, in the order in which they were put in. Copies share the tensors.
class StateDict {
 public:
  /// A name and its tensor.
  struct Entry {
    std::string name;
    Tensor tensor;
  };

  StateDict() = default;
  /// Throws ArgumentError for a name that comes twice.
  StateDict(std::initializer_list<Entry> entries) {
    for (const Entry& entry : entries) insert(entry.name, entry.tensor);
  }

  /// Appends a tensor; throws ArgumentError when the name is there already.
  void insert(const std::string& name, Tensor tensor) {
    if (!index_.emplace(name, entries_.size()).second)
      throw ArgumentError("state_dict: the name '" + name + "' comes twice, expected each once");
    entries_.push_back({name, std::move(tensor)});
  }

  /// Appends all tensors of another, their names behind a prefix: what keeps the state of a model and of its optimizer
  /// apart in one file. Throws like the other `insert`.
  void insert(const std::string& prefix, const StateDict& other) {
    for (const Entry& entry : other) insert(prefix + entry.name, entry.tensor);
  }

  /// The tensors whose names begin with a prefix, which is taken off.
  StateDict with_prefix(const std::string& prefix) const {
    StateDict part;
    for (const Entry& entry : entries_)
      if (entry.name.starts_with(prefix)) part.insert(entry.name.substr(prefix.size()), entry.tensor);
    return part;
  }

  /// The tensor of that name, nullptr when there is none.
  const Tensor* find(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &entries_[found->second].tensor;
  }
  /// The tensor of that name; throws ArgumentError when there is none.
  const Tensor& at(const std::string& name) const {
    const Tensor* tensor = find(name);
    if (tensor == nullptr) throw ArgumentError("state_dict: there is no '" + name + "'");
    return *tensor;
  }
  bool contains(const std::string& name) const { return index_.contains(name); }

  /// A copy whose tensors have elements of their own: what later training does not change.
  StateDict clone() const {
    StateDict copy;
    for (const Entry& entry : entries_) copy.insert(entry.name, entry.tensor.clone());
    return copy;
  }

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  std::vector<Entry>::const_iterator begin() const { return entries_.begin(); }
  std::vector<Entry>::const_iterator end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace dnn
