// The sources against the house rules, and the checker against a small tree that breaks each rule once.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/style/rules.h"

namespace {

namespace fs = std::filesystem;

std::string report(const std::vector<style::Violation>& violations) {
  std::string text;
  for (const auto& [where, rule] : violations) text += where + ": " + rule + "\n";
  return text;
}

TEST(Style, TheSourcesKeepTheHouseRules) {
  const auto violations = style::check(STYLE_SOURCE_DIR);
  EXPECT_TRUE(violations.empty()) << report(violations);
  EXPECT_GT(style::sources(STYLE_SOURCE_DIR).size(), 100u) << "the checker does not see the tree";
}

TEST(Style, EveryPublicHeaderIsInstalled) {
  std::set<fs::path> listed;
  std::ifstream stream(STYLE_HEADERS);
  for (std::string line; std::getline(stream, line);)
    listed.insert(fs::path(line).lexically_relative(STYLE_SOURCE_DIR));
  for (const fs::path& path : style::sources(STYLE_SOURCE_DIR)) {
    if (path.generic_string().find("/include/dnn/") == std::string::npos) continue;
    EXPECT_TRUE(listed.contains(path)) << path << " is in no FILE_SET of its folder's CMakeLists.txt";
  }
}

// A tree of the smallest files that keep all rules; a test then breaks one.
class Tree {
 public:
  explicit Tree(const std::string& name) : root_(fs::path(testing::TempDir()) / ("dnn_style_" + name)) {
    fs::remove_all(root_);
    for (const char* header : {"core/include/dnn/tensor.h", "layers/include/dnn/layer.h", "optim/include/dnn/sgd.h",
                               "data/include/dnn/loader.h", "interop/include/dnn/safetensors.h",
                               "train/include/dnn/trainer.h", "train/include/dnn/dnn.h"}) {
      write(header, "// A header.\n#pragma once\n#include <vector>\n");
    }
    write("core/storage.h", "// A private header.\n#pragma once\n");
    write("core/ops/add.cpp", "// A source.\n#include <fmt/format.h>\n\n#include \"core/storage.h\"\n");
    write("core/cpu/onednn.h", "// A library behind one header.\n#pragma once\n#include <oneapi/dnnl/dnnl.hpp>\n");
    write("cuda/launch.cuh",
          "// The launcher.\n#pragma once\n#include <cuda_runtime.h>\n  kernel<<<grid, block>>>();\n");
    write("cuda/copy.cu", "// A kernel.\n#include \"core/storage.h\"\n#include \"cuda/launch.cuh\"\n");
    write("train/trainer.cpp", "// A source.\n#include \"dnn/loader.h\"\n#include \"dnn/sgd.h\"\n  std::cout << 1;\n");
    write("examples/mnist.cpp", "// A program.\n#include <CLI/CLI.hpp>\n#include <dnn/dnn.h>\n#include <iostream>\n");
    write("tests/core/copy_test.cpp", "// A test.\n#include <gtest/gtest.h>\n\n#include \"core/storage.h\"\n");
  }
  ~Tree() { fs::remove_all(root_); }

  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

struct Breach {
  std::string name;
  std::string file;
  std::string text;
  std::string expected;  // the whole report
};

class StyleRule : public testing::TestWithParam<Breach> {};

TEST_P(StyleRule, IsReported) {
  const Breach& breach = GetParam();
  Tree tree(breach.name);
  ASSERT_EQ(report(style::check(tree.root())), "");
  tree.write(breach.file, breach.text);
  EXPECT_EQ(report(style::check(tree.root())), breach.expected + "\n");
}

std::string source_with(const std::string& line) { return "// A source.\n" + line + "\n"; }
std::string header_with(const std::string& line) { return "// A header.\n#pragma once\n" + line + "\n"; }

INSTANTIATE_TEST_SUITE_P(
    All, StyleRule,
    testing::Values(
        Breach{"PublicHeaderSeesLibrary", "core/include/dnn/bad.h", header_with("#include <fmt/format.h>"),
               "core/include/dnn/bad.h:3: a public header includes only the standard library and \"dnn/...\", not "
               "fmt/format.h"},
        Breach{"PublicHeaderSeesPrivate", "core/include/dnn/bad.h", header_with("#include \"core/storage.h\""),
               "core/include/dnn/bad.h:3: a public header includes only the standard library and \"dnn/...\", not "
               "core/storage.h"},
        Breach{"NoSuchPublicHeader", "train/bad.cpp", source_with("#include \"dnn/nothing.h\""),
               "train/bad.cpp:2: there is no public header \"dnn/nothing.h\""},
        Breach{"CoreKnowsLayers", "core/bad.cpp", source_with("#include \"dnn/layer.h\""),
               "core/bad.cpp:2: core does not know layers (\"dnn/layer.h\")"},
        Breach{"CudaKnowsLayers", "cuda/bad.cpp", source_with("#include \"dnn/layer.h\""),
               "cuda/bad.cpp:2: cuda does not know layers (\"dnn/layer.h\")"},
        Breach{"OptimKnowsLayers", "optim/bad.cpp", source_with("#include \"dnn/layer.h\""),
               "optim/bad.cpp:2: optim does not know layers (\"dnn/layer.h\")"},
        Breach{"DataKnowsOptim", "data/bad.cpp", source_with("#include \"dnn/sgd.h\""),
               "data/bad.cpp:2: data does not know optim (\"dnn/sgd.h\")"},
        Breach{"LayersKnowTrain", "layers/include/dnn/bad.h", header_with("#include \"dnn/trainer.h\""),
               "layers/include/dnn/bad.h:3: layers does not know train (\"dnn/trainer.h\")"},
        Breach{"InteropKnowsData", "interop/bad.cpp", source_with("#include \"dnn/loader.h\""),
               "interop/bad.cpp:2: interop does not know data (\"dnn/loader.h\")"},
        Breach{"ExampleSeesOneHeader", "examples/bad.cpp", source_with("#include <dnn/tensor.h>"),
               "examples/bad.cpp:2: examples include <dnn/dnn.h> alone, not \"dnn/tensor.h\""},
        Breach{"LayersSeePrivate", "layers/bad.cpp", source_with("#include \"core/storage.h\""),
               "layers/bad.cpp:2: layers does not see the private headers of core (\"core/storage.h\")"},
        Breach{"TrainSeesPrivate", "train/bad.cpp", source_with("#include \"core/storage.h\""),
               "train/bad.cpp:2: train does not see the private headers of core (\"core/storage.h\")"},
        Breach{"ExampleSeesPrivate", "examples/bad.cpp", source_with("#include \"core/storage.h\""),
               "examples/bad.cpp:2: examples does not see the private headers of core (\"core/storage.h\")"},
        Breach{"CoreSeesCuda", "core/bad.cpp", source_with("#include \"cuda/launch.cuh\""),
               "core/bad.cpp:2: core does not see the private headers of cuda (\"cuda/launch.cuh\")"},
        Breach{"LibrarySeesTests", "core/bad.cpp", source_with("#include \"tests/ops/harness.h\""),
               "core/bad.cpp:2: core does not see the private headers of tests (\"tests/ops/harness.h\")"},
        Breach{"OneDnnOutsideCoreCpu", "core/ops/bad.cpp", source_with("#include <oneapi/dnnl/dnnl.hpp>"),
               "core/ops/bad.cpp:2: only its owners see oneDNN (oneapi/dnnl/dnnl.hpp)"},
        Breach{"CudaHeaderInCore", "core/bad.cpp", source_with("#include <cuda_runtime.h>"),
               "core/bad.cpp:2: only its owners see CUDA (cuda_runtime.h)"},
        Breach{"CudaHeaderInTests", "tests/ops/bad.cpp", source_with("#include <cuda_runtime.h>"),
               "tests/ops/bad.cpp:2: only its owners see CUDA (cuda_runtime.h)"},
        Breach{"JsonInTrain", "train/bad.cpp", source_with("#include <nlohmann/json.hpp>"),
               "train/bad.cpp:2: only its owners see nlohmann-json (nlohmann/json.hpp)"},
        Breach{"UnknownLibrary", "core/bad.cpp", source_with("#include <eigen3/Eigen/Dense>"),
               "core/bad.cpp:2: a header of no known library: eigen3/Eigen/Dense"},
        Breach{"TooLong", "core/bad.cpp", "// A source.\n" + std::string(600, '\n'),
               "core/bad.cpp:601: a file has at most 600 lines, not 601"},
        Breach{"NoOpeningComment", "core/include/dnn/bad.h", "#pragma once\n",
               "core/include/dnn/bad.h:1: a file opens with a comment on what it is"},
        Breach{"NoPragmaOnce", "core/bad.h", "// A header.\n", "core/bad.h:1: a header holds #pragma once"},
        Breach{"LaunchOutsideTheLauncher", "cuda/bad.cu", source_with("kernel<<<1, 32>>>();"),
               "cuda/bad.cu:2: <<<>>> stands in cuda/launch.cuh alone"},
        Breach{"DynamicShared", "cuda/bad.cu", source_with("extern __shared__ float buffer[];"),
               "cuda/bad.cu:2: shared memory comes through block_shared, not extern __shared__"},
        Breach{"Assert", "data/bad.cpp", source_with("assert(n > 0);"),
               "data/bad.cpp:2: a guard throws an error, assert is none"},
        Breach{"Exit", "core/bad.cpp", source_with("std::exit(1);"),
               "core/bad.cpp:2: the library never exits or aborts"},
        Breach{"Print", "layers/bad.cpp", source_with("std::cerr << 1;"),
               "layers/bad.cpp:2: only train writes to the terminal"},
        Breach{"Unfinished", "core/bad.cpp", source_with("// TODO: later"),
               "core/bad.cpp:2: nothing unfinished is committed"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
