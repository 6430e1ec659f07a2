// How a state dict fits a module: what `Module::load_state_dict` is told to put up with, and the table of what did not
// match.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dnn/shape.h"

namespace dnn {

/// Options of `Module::load_state_dict`.
struct LoadOptions {
  bool strict = true;  ///< Whether missing and unexpected names are errors.
  /// Whether tensors of another shape are left as they are, instead of being errors: weights that were trained with
  /// another number of classes, all but the last layer of them.
  bool skip_misshaped = false;
};

/// What of a state dict matches a module, and what does not.
struct LoadReport {
  /// One name; the shapes are those of its tensor on the side that has it.
  struct Row {
    std::string name;
    std::optional<Shape> state;
    std::optional<Shape> module;
  };
  std::vector<Row> missing;     ///< The module has them and the state has not; these tensors are not loaded.
  std::vector<Row> unexpected;  ///< The state has them and the module has not.
  std::vector<Row> misshaped;   ///< Both have them, in different shapes.
  int64_t matched = 0;          ///< Tensors of the module that are in the state, in the same shape.
  int64_t names = 0;            ///< How many tensors the module has.
  std::string module = {};      ///< The class of the module.
  /// What stands before the names of a state that has none of the module's own names, "module." as DataParallel of
  /// PyTorch puts it there; `state.with_prefix` takes it off. Empty when there is no such text.
  std::string prefix = {};

  /// Whether every name was matched.
  bool complete() const { return missing.empty() && unexpected.empty() && misshaped.empty(); }
  /// The table, one row for each name that was not matched (of many of a kind the first 20), below a line that counts
  /// them.
  std::string str() const;
};

namespace detail {
// The rows of the table, each after a line break.
std::string load_table(const LoadReport& report);
}  // namespace detail

}  // namespace dnn
