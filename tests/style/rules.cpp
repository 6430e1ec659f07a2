// The table of the house rules and its checker.
#include "tests/style/rules.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>

namespace style {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

constexpr size_t kMaxLines = 600;

// Outside libraries by the beginning of their headers' names, and the folders that may see them.
struct Library {
  std::string name;
  std::regex header;
  Names folders;  // a folder, or a folder inside one
};

const std::vector<Library>& libraries() {
  static const std::vector<Library> all = {
      {"fmt",
       std::regex("fmt/.*"),
       {"core", "cuda", "layers", "optim", "data", "interop", "train", "tests", "examples/bench"}},
      {"oneDNN", std::regex("oneapi/.*|dnnl.*"), {"core/cpu"}},
      {"OpenMP", std::regex("omp\\.h"), {"core/cpu", "tests"}},
      {"x86 intrinsics", std::regex("(immintrin|x86intrin|cpuid)\\.h"), {"core/cpu"}},
      {"CUDA",
       std::regex("(cuda|cublas|cudnn|nccl|nvrtc|nvToolsExt|nvtx|cub/|cooperative_groups|mma|vector_types|"
                  "device_launch_parameters|driver_types).*"),
       {"cuda", "tests/simt"}},
      {"zlib, libjpeg and libpng", std::regex("zlib\\.h|jpeglib\\.h|jerror\\.h|png\\.h"), {"data", "interop", "tests"}},
      {"stb", std::regex("stb/.*"), {"data"}},
      {"nlohmann-json", std::regex("nlohmann/.*"), {"interop", "examples", "tests"}},
      {"CLI11", std::regex("CLI/.*"), {"examples"}},
      {"Boost.Context", std::regex("boost/context/.*"), {"tests/simt"}},
      {"GoogleTest", std::regex("gtest/.*|gmock/.*"), {"tests"}},
      {"Google Benchmark", std::regex("benchmark/.*"), {"tests"}},
      {"the sanitizers", std::regex("sanitizer/.*"), {"tests"}},
      {"patterns of names", std::regex("fnmatch\\.h"), {"layers", "tests"}},
      {"the names of types", std::regex("cxxabi\\.h"), {"core", "cuda", "layers", "tests"}},
      {"the operating system",
       std::regex("(sys|linux)/.*|unistd\\.h|fcntl\\.h|dirent\\.h|poll\\.h|pthread\\.h|spawn\\.h|sched\\.h|"
                  "signal\\.h|termios\\.h|pwd\\.h|execinfo\\.h|dlfcn\\.h"),
       {"core", "cuda", "data", "interop", "train", "tests", "examples/bench"}},
  };
  return all;
}

// The folders of the library, and whose public headers each may include.
const std::map<std::string, Names>& arrows() {
  static const std::map<std::string, Names> table = {
      {"core", {"core"}},
      {"cuda", {"core"}},
      {"layers", {"core", "layers"}},
      {"optim", {"core", "optim"}},
      {"data", {"core", "data"}},
      {"interop", {"core", "layers", "interop"}},
      {"train", {"core", "layers", "optim", "data", "interop", "train"}},
  };
  return table;
}

// Whose private headers ("<folder>/...") each folder may include; a folder not listed may include its own.
bool may_see_private(const std::string& folder, const std::string& owner) {
  return folder == owner || folder == "tests" || (folder == "cuda" && owner == "core");
}

std::string first_part(const fs::path& path) { return path.begin()->string(); }

bool is_public_header(const fs::path& path) {
  return path.generic_string().find("/include/dnn/") != std::string::npos && first_part(path) != "tests";
}

bool is_standard_header(const std::string& name) {
  static const std::regex pattern("[a-z_0-9]+");
  return std::regex_match(name, pattern) && name != "gtest";
}

bool lies_in(const std::string& path, const Names& folders) {
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& f) { return path.starts_with(f + "/"); });
}

// The folder whose include/dnn/ holds the public header `name`, empty when there is none.
std::string owner_of(const fs::path& root, const std::string& name) {
  for (const auto& [folder, unused] : arrows()) {
    if (fs::exists(root / folder / "include" / name)) return folder;
  }
  return "";
}

// Why a file may not include a header, empty when it may.
std::string include_fault(const fs::path& root, const fs::path& path, const std::string& header) {
  const std::string folder = first_part(path);
  if (is_standard_header(header)) return "";
  if (header.starts_with("dnn/")) {
    const std::string owner = owner_of(root, header);
    if (owner.empty()) return "there is no public header \"" + header + "\"";
    if (folder == "tests") return "";
    if (folder == "examples")
      return header == "dnn/dnn.h" ? "" : "examples include <dnn/dnn.h> alone, not \"" + header + "\"";
    return arrows().at(folder).contains(owner) ? "" : folder + " does not know " + owner + " (\"" + header + "\")";
  }
  if (is_public_header(path))
    return "a public header includes only the standard library and \"dnn/...\", not " + header;
  const std::string owner = header.substr(0, header.find('/'));
  if (arrows().contains(owner) || owner == "tests" || owner == "examples") {
    if (may_see_private(folder, owner)) return "";
    return folder + " does not see the private headers of " + owner + " (\"" + header + "\")";
  }
  for (const Library& library : libraries()) {
    if (!std::regex_match(header, library.header)) continue;
    return lies_in(path.generic_string(), library.folders)
               ? ""
               : "only its owners see " + library.name + " (" + header + ")";
  }
  return "a header of no known library: " + header;
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The rules of form for one line; `code` is the line without its comment.
std::string line_fault(const fs::path& path, const std::string& line) {
  const std::string code = line.substr(0, line.find("//"));
  const std::string file = path.generic_string();
  const bool is_library = arrows().contains(first_part(path));
  static const std::regex launch("<<<"), unfinished("\\b(TODO|FIXME|XXX)\\b"), assertion("\\bassert *\\(");
  static const std::regex exit("\\b(std::exit|exit|abort|std::abort|quick_exit|std::terminate) *\\(");
  static const std::regex print("\\b(printf|fprintf|puts|perror) *\\(|\\bstd::(cout|cerr|clog)\\b");
  static const std::regex dynamic_shared("extern +__shared__");
  if (std::regex_search(line, unfinished) && !file.starts_with("tests/style/"))
    return "nothing unfinished is committed";
  if (!is_library) return "";
  if (std::regex_search(code, launch) && file != "cuda/launch.cuh") return "<<<>>> stands in cuda/launch.cuh alone";
  if (std::regex_search(code, dynamic_shared)) return "shared memory comes through block_shared, not extern __shared__";
  if (std::regex_search(code, assertion)) return "a guard throws an error, assert is none";
  if (std::regex_search(code, exit)) return "the library never exits or aborts";
  if (std::regex_search(code, print) && first_part(path) != "train") return "only train writes to the terminal";
  return "";
}

}  // namespace

std::vector<fs::path> sources(const fs::path& root) {
  static const Names extensions = {".h", ".cpp", ".cu", ".cuh"};
  Names folders = {"examples", "tests"};
  for (const auto& [folder, unused] : arrows()) folders.insert(folder);
  std::vector<fs::path> found;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (extensions.contains(entry.path().extension())) found.push_back(entry.path().lexically_relative(root));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Violation> check(const fs::path& root) {
  static const std::regex include("^\\s*#\\s*include\\s*[<\"]([^>\"]+)[>\"].*");
  std::vector<Violation> violations;
  for (const fs::path& path : sources(root)) {
    const std::vector<std::string> lines = read_lines(root / path);
    const auto report = [&](size_t line, const std::string& rule) {
      violations.push_back({path.generic_string() + ":" + std::to_string(line), rule});
    };
    if (lines.empty() || !lines[0].starts_with("//")) report(1, "a file opens with a comment on what it is");
    if (lines.size() > kMaxLines)
      report(kMaxLines + 1, "a file has at most 600 lines, not " + std::to_string(lines.size()));
    const bool is_header = path.extension() == ".h" || path.extension() == ".cuh";
    if (is_header && std::find(lines.begin(), lines.end(), "#pragma once") == lines.end()) {
      report(1, "a header holds #pragma once");
    }
    for (size_t i = 0; i < lines.size(); ++i) {
      std::smatch match;
      std::string fault = line_fault(path, lines[i]);
      if (std::regex_match(lines[i], match, include)) fault = include_fault(root, path, match[1]);
      if (!fault.empty()) report(i + 1, fault);
    }
  }
  return violations;
}

}  // namespace style
