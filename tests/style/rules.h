// The house rules that a look at the text of the sources can check: who may include whom, and a few of form.
//
// The table stands in rules.cpp. Folders know only those before them; public headers (<folder>/include/dnn/) need the
// standard library alone; every outside library is seen by the folders that own it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace style {

/// One line of the tree that breaks a rule.
struct Violation {
  std::string where;  ///< file:line, relative to the root of the tree
  std::string rule;   ///< what the rule says, with the facts
};

/// The paths, relative to `root`, of all C++ and CUDA sources in the folders of the library, examples and tests.
std::vector<std::filesystem::path> sources(const std::filesystem::path& root);

/// All violations below `root`, in the order of the files.
std::vector<Violation> check(const std::filesystem::path& root);

}  // namespace style
