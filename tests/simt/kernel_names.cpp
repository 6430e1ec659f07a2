// Reading the sources and the lists.
#include "tests/simt/kernel_names.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace dnn::simt::test {

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

std::set<std::string> defined_kernels(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".cu" && entry.path().extension() != ".cuh") continue;
    const std::string text = read(entry.path());
    for (size_t at = text.find("__global__ "); at != std::string::npos; at = text.find("__global__ ", at + 1)) {
      // The name stands before the parameters; those of __launch_bounds__ come first where it is there.
      size_t end = text.find('(', at);
      if (text.substr(at, end - at).ends_with("__launch_bounds__")) end = text.find('(', text.find(')', end));
      const size_t begin = text.find_last_of(" \n", end) + 1;
      names.insert(text.substr(begin, end - begin));
    }
  }
  return names;
}

std::set<std::string> exempt_kernels(const std::string& file) {
  std::set<std::string> names;
  std::istringstream lines(read(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || colon + 2 == line.size())
      throw std::runtime_error(file + ": an exemption without a reason: " + line);
    names.insert(line.substr(0, colon));
  }
  return names;
}

}  // namespace dnn::simt::test
