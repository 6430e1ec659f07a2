// What the compiler reports of every hand-written kernel: none keeps anything in local memory.
//
// A kernel that runs out of registers spills them, and one that indexes an array by a number known at run time alone
// keeps it on a stack; both are memory traffic that nobody wrote down. cuda/keep_report.sh keeps the reports beside the
// objects. Kernels that may are in stack_kernels.txt, one a line: `kernel_name: reason`.
#include <cxxabi.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/simt/kernel_names.h"

namespace dnn::test {
namespace {

struct Resources {
  std::string symbol, architecture;
  int registers = 0, stack = 0, spilled = 0;
};

// "dnn::cuda::fill_kernel<float>(float*, ...)" -> "fill_kernel".
std::string kernel_of(const std::string& symbol) {
  int status = 0;
  char* text = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  std::string name = text != nullptr ? text : symbol;
  std::free(text);
  name = name.substr(0, std::min(name.find('<'), name.find('(')));
  const size_t begin = name.find_last_of(" :");
  return begin == std::string::npos ? name : name.substr(begin + 1);
}

std::vector<Resources> resources_in(std::istream& report) {
  static const std::regex entry(R"(Compiling entry function '(\w+)' for '(\w+)')");
  static const std::regex memory(R"((\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads)");
  static const std::regex used(R"(Used (\d+) registers)");
  std::vector<Resources> list;
  bool inside = false;  // of a kernel's part; functions that are not inlined have parts of their own
  for (std::string line; std::getline(report, line);) {
    std::smatch match;
    if (std::regex_search(line, match, entry)) {
      list.push_back({.symbol = match[1], .architecture = match[2]});
      inside = true;
    } else if (inside && std::regex_search(line, match, memory)) {
      list.back().stack = std::stoi(match[1]);
      list.back().spilled = std::stoi(match[2]) + std::stoi(match[3]);
    } else if (inside && std::regex_search(line, match, used)) {
      list.back().registers = std::stoi(match[1]);
      inside = false;
    }
  }
  return list;
}

TEST(Resources, AReportIsRead) {
  std::istringstream report(R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN3dnn4cuda11fill_kernelIfEEvPT_S2_l' for 'sm_90'
ptxas info    : Function properties for _ZN3dnn4cuda11fill_kernelIfEEvPT_S2_l
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 34 registers, used 1 barriers, 16 bytes stack size, 1024 bytes smem
)");
  const auto list = resources_in(report);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(kernel_of(list[0].symbol), "fill_kernel");
  EXPECT_EQ(list[0].architecture, "sm_90");
  EXPECT_EQ(list[0].registers, 34);
  EXPECT_EQ(list[0].stack, 16);
  EXPECT_EQ(list[0].spilled, 12);
}

TEST(Resources, NoKernelSpillsOrKeepsAStack) {
  const auto exempt = simt::test::exempt_kernels(DNN_STACK_KERNELS);
  std::set<std::string> seen, stacked;
  for (const auto& file : std::filesystem::directory_iterator(DNN_PTXAS_REPORTS)) {
    if (file.path().extension() != ".ptxas") continue;
    const std::string source = file.path().stem().stem().string();  // norm.cu of norm.cu.o.ptxas
    if (!std::filesystem::exists(std::filesystem::path(DNN_CUDA_SOURCES) / source)) continue;
    std::ifstream report(file.path());
    for (const Resources& kernel : resources_in(report)) {
      const std::string name = kernel_of(kernel.symbol);
      seen.insert(name);
      EXPECT_GT(kernel.registers, 0) << kernel.symbol;
      EXPECT_EQ(kernel.spilled, 0) << kernel.symbol << " spills on " << kernel.architecture;
      if (kernel.stack > 0) stacked.insert(name);
      EXPECT_TRUE(kernel.stack == 0 || exempt.contains(name))
          << kernel.symbol << " has a stack of " << kernel.stack << " bytes on " << kernel.architecture;
    }
  }
  EXPECT_THAT(seen, ::testing::IsSupersetOf(simt::test::defined_kernels(DNN_CUDA_SOURCES)));
  EXPECT_THAT(stacked, ::testing::IsSupersetOf(exempt)) << "exempt without need";
}

}  // namespace
}  // namespace dnn::test
