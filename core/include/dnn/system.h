// What this machine offers to libdnn, and what libdnn makes of it: the answer to "why is my GPU not used?".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dnn/device.h"

namespace dnn {

/// A driver or a library that libdnn uses where it is there.
struct LibraryInfo {
  std::string version;      ///< "9.19.0", say; empty when it is not there.
  std::string why_missing;  ///< Why it is not there; empty when it is.
};

/// What the CPU kernels have chosen on this machine.
struct CpuInfo {
  std::string kernels;       ///< What libdnn's own loops use: "baseline", "AVX2 and FMA" or "AVX-512".
  int threads = 1;           ///< Threads that a kernel uses.
  std::string onednn;        ///< Version of oneDNN.
  std::string instructions;  ///< The best instruction set that oneDNN uses: "AVX-512", "AVX2", "AVX" or "SSE4.1".
};

/// A GPU that the NVIDIA driver shows to this process.
struct GpuInfo {
  std::string name;
  int major = 0, minor = 0;  ///< Compute capability.
  int64_t memory = 0;        ///< In bytes, used and free.
  int index = -1;            ///< It is `Device::cuda(index)`; -1 when this libdnn cannot use it.
  std::string why_unusable;  ///< Why it cannot; empty when it can.
};

/// Everything that decides where and how fast libdnn computes.
struct SystemReport {
  std::string version;        ///< Of libdnn.
  CpuInfo cpu;                ///< The CPU kernels.
  std::string architectures;  ///< What the GPU kernels were compiled for, as CMake lists it; empty without CUDA.
  LibraryInfo driver;         ///< The NVIDIA driver, with the CUDA version that it supports.
  LibraryInfo runtime;        ///< The CUDA runtime inside of libdnn.
  LibraryInfo cudnn;          ///< NVIDIA's library for convolution and recurrent layers.
  LibraryInfo cublaslt;       ///< NVIDIA's library for matrix products.
  std::vector<GpuInfo> gpus;  ///< All GPUs, usable or not.
  std::string why_no_gpu;     ///< Why none of them can be used; empty when one can.
  Device best;                ///< `Device::best()`,
  std::string why_best;       ///< and why it is that one.

  /// The report as text, a line for each entry.
  std::string str() const;
};

/// Asks machine and library; what is not there is an answer and no error. Throws only when host memory runs out.
SystemReport system_report();

}  // namespace dnn
