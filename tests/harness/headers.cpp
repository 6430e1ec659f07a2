// Finding declarations in headers, which clang-format has laid out: what starts in the first column is a declaration.
#include "tests/harness/headers.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/harness/op_row.h"

namespace dnn::test {

std::set<std::string> operations_in(const std::string& header) {
  static const std::regex function(R"(^(?:inline |constexpr )*([A-Za-z_][\w:<>, ]*[&*]?)\s+([a-z]\w*)\()");
  std::set<std::string> names;
  std::istringstream lines(header);
  bool inside_detail = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("namespace detail", 0) == 0) inside_detail = true;
    if (inside_detail) {
      inside_detail = line.rfind("}", 0) != 0;
      continue;
    }
    std::smatch match;
    if (!std::regex_search(line, match, function)) continue;
    const std::string type = match[1], name = match[2];
    if (type.find("Tensor") != std::string::npos || name.back() == '_') names.insert(name);
  }
  return names;
}

std::set<std::string> operations_in_folder(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    if (!file) throw std::runtime_error("cannot read " + entry.path().string());
    names.merge(operations_in({std::istreambuf_iterator<char>(file), {}}));
  }
  return names;
}

std::set<std::string> without_row(const std::set<std::string>& operations) {
  std::set<std::string> missing = operations;
  for (const Row& row : table()) missing.erase(row.operation);
  return missing;
}

}  // namespace dnn::test
