// The report on machine and library, and its text.
#include "dnn/system.h"

#include <gmock/gmock.h>

namespace dnn {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(SystemReport, KnowsItsOwnLibrary) {
  const SystemReport report = system_report();
  EXPECT_THAT(report.version, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(report.cpu.kernels, AnyOf("baseline", "AVX2 and FMA", "AVX-512"));
  EXPECT_GE(report.cpu.threads, 1);
  EXPECT_THAT(report.cpu.onednn, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(report.cpu.instructions, AnyOf("AVX-512", "AVX2", "AVX", "SSE4.1"));
#ifdef DNN_HAS_CUDA
  EXPECT_NE(report.architectures, "");
  EXPECT_THAT(report.runtime.version, MatchesRegex("[0-9]+\\.[0-9]+"));
  EXPECT_EQ(report.runtime.why_missing, "");
  for (const LibraryInfo& library : {report.cudnn, report.cublaslt}) {
    EXPECT_EQ(library.version.empty(), !library.why_missing.empty());
    if (!library.version.empty()) {
      EXPECT_THAT(library.version, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
    }
  }
#else
  EXPECT_EQ(report.architectures, "");
  EXPECT_EQ(report.runtime.version, "");
  EXPECT_EQ(report.runtime.why_missing, "this libdnn was built without CUDA");
  for (const LibraryInfo& library : {report.driver, report.cudnn, report.cublaslt})
    EXPECT_EQ(library.why_missing, "this libdnn was built without CUDA");
#endif
}

TEST(SystemReport, AgreesWithTheDevices) {
  const SystemReport report = system_report();
  EXPECT_EQ(report.best, Device::best());
  EXPECT_EQ(report.why_no_gpu, why_unavailable(DeviceType::cuda));
  EXPECT_EQ(report.driver.version.empty(), !report.driver.why_missing.empty());
  int usable = 0;
  for (const GpuInfo& gpu : report.gpus) {
    EXPECT_EQ(gpu.index >= 0, gpu.why_unusable.empty());
    if (gpu.index >= 0) {
      EXPECT_EQ(gpu.index, usable++);
    }
  }
  EXPECT_EQ(usable, device_count(DeviceType::cuda));
  EXPECT_EQ(usable == 0, !report.why_no_gpu.empty());
  if (usable == 0) {
    EXPECT_EQ(report.why_best, report.why_no_gpu);
  }
}

TEST(SystemReport, ItsTextHasALineForEachEntry) {
  SystemReport report;
  report.version = "1.2.3";
  report.cpu = {.kernels = "AVX2 and FMA", .threads = 2, .onednn = "2.6.3", .instructions = "AVX-512"};
  report.architectures = "80 90";
  report.driver.version = "13.1";
  report.runtime.version = "13.0";
  report.cudnn.version = "9.19.0";
  report.cublaslt.why_missing = "libcublasLt.so.13: no such file";
  report.gpus = {{.name = "NVIDIA H200", .major = 9, .memory = int64_t{141} << 30, .index = 0},
                 {.name = "Tesla K80", .major = 3, .minor = 7, .memory = int64_t{23} << 29, .why_unusable = "too old"}};
  report.best = Device::cuda();
  report.why_best = "it is the first usable GPU";
  EXPECT_EQ(report.str(),
            "libdnn          1.2.3\n"
            "CPU kernels     AVX2 and FMA, 2 threads\n"
            "oneDNN          2.6.3, AVX-512\n"
            "GPU kernels     for 80 90\n"
            "CUDA driver     13.1\n"
            "CUDA runtime    13.0\n"
            "cuDNN           9.19.0\n"
            "cuBLASLt        none: libcublasLt.so.13: no such file\n"
            "GPU             cuda:0: NVIDIA H200, compute capability 9.0, 141.0 GiB\n"
            "GPU             Tesla K80, compute capability 3.7, 11.5 GiB, not usable: too old\n"
            "default device  cuda:0: it is the first usable GPU\n");
}

TEST(SystemReport, ItsTextSaysWhatIsMissing) {
  SystemReport report;
  report.cpu.threads = 1;
  report.why_no_gpu = report.runtime.why_missing = report.driver.why_missing = report.why_best = "no such thing";
  const std::string text = report.str();
  for (const char* line : {"CPU kernels     , 1 thread\n", "GPU kernels     none: no such thing\n",
                           "CUDA driver     none: no such thing\n", "CUDA runtime    none: no such thing\n",
                           "GPU             none: no such thing\n", "default device  cpu: no such thing\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

}  // namespace
}  // namespace dnn
