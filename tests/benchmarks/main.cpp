// Times every family of kernels with Google Benchmark.
//
//   dnn_benchmark                                         all of them on every device that there is
//   dnn_benchmark --device=cpu --benchmark_filter=norm    and the other options of Google Benchmark
//   dnn_benchmark --device=cuda --smoke                   the smallest size of each, once: whether they still run
//
// Without a GPU, --device=cuda says so and returns 77.
#include <benchmark/benchmark.h>

#include <iostream>
#include <string_view>

#include "dnn/error.h"
#include "tests/benchmarks/bench.h"

namespace {

using namespace dnn;

bool take_argument(int& argc, char** argv, std::string_view wanted) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i] != wanted) continue;
    std::move(argv + i + 1, argv + argc, argv + i);
    --argc;
    return true;
  }
  return false;
}

void add_all(Device device, bool smoke) {
  for (const auto& family : {bench::copies(), bench::pointwise(), bench::reductions(), bench::softmaxes_and_losses(),
                             bench::norms(), bench::pools(), bench::convolutions(), bench::products(),
                             bench::indexing(), bench::recurrent(), bench::updates()})
    bench::register_family(family, device, smoke);
}

}  // namespace

int main(int argc, char** argv) try {
  const bool cpu_alone = take_argument(argc, argv, "--device=cpu");
  const bool gpu_alone = take_argument(argc, argv, "--device=cuda");
  const bool smoke = take_argument(argc, argv, "--smoke");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const std::string why = why_unavailable(DeviceType::cuda);
  if (gpu_alone && !why.empty()) {
    std::cerr << "dnn_benchmark: no GPU: " << why << "\n";
    return 77;
  }
  if (!gpu_alone) add_all(Device::cpu(), smoke);
  if (!cpu_alone && why.empty()) add_all(Device::cuda(), smoke);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
} catch (const dnn::Error& error) {
  std::cerr << "dnn_benchmark: " << error.what() << "\n";
  return 1;
}
