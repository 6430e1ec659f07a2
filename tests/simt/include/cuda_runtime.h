// The CUDA runtime of the emulator: the part of <cuda_runtime.h> that libdnn uses, for g++ and without a toolkit.
//
// It stands first on the include path when dnn_simt is built. Device memory is heap memory; the threads of a block run
// one at a time as fibers (see engine.h); streams run their work when somebody waits (see runtime.cpp).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

// ---- what a kernel sees ---------------------------------------------------------------------------------------------

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// Of the running thread; set by the engine before it runs one.
inline dim3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0}, blockDim{0, 0, 0}, gridDim{0, 0, 0};

namespace dnn::simt {

using Place = std::source_location;

// Parks the running thread until all threads of its block are here.
void block_barrier(const Place& place);
// Parks the running thread until all lanes of `mask` have handed over their value.
void warp_barrier(unsigned mask, uint64_t value, const Place& place);
// The value that a lane handed over at the barrier just passed.
uint64_t warp_value(unsigned lane, const Place& place);
inline unsigned lane() { return threadIdx.x % 32; }

template <class T>
T shuffle(unsigned mask, T value, unsigned source, const Place& place) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "CUDA shuffles 32 or 64 bits");
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  warp_barrier(mask, std::bit_cast<Bits>(value), place);
  return std::bit_cast<T>(static_cast<Bits>(warp_value(source, place)));
}

}  // namespace dnn::simt

inline void __syncthreads(const dnn::simt::Place& place = dnn::simt::Place::current()) {
  dnn::simt::block_barrier(place);
}

inline void __syncwarp(unsigned mask = 0xffffffffu, const dnn::simt::Place& place = dnn::simt::Place::current()) {
  dnn::simt::warp_barrier(mask, 0, place);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const dnn::simt::Place& place = dnn::simt::Place::current()) {
  const unsigned lane = dnn::simt::lane(), segment = lane / static_cast<unsigned>(width) * static_cast<unsigned>(width);
  return dnn::simt::shuffle(mask, value, segment + static_cast<unsigned>(source % width), place);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  const dnn::simt::Place& place = dnn::simt::Place::current()) {
  const unsigned lane = dnn::simt::lane(), source = lane ^ static_cast<unsigned>(bits);
  const bool inside = source / static_cast<unsigned>(width) <= lane / static_cast<unsigned>(width);
  return dnn::simt::shuffle(mask, value, inside ? source : lane, place);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const dnn::simt::Place& place = dnn::simt::Place::current()) {
  const unsigned lane = dnn::simt::lane();
  const bool inside = lane % static_cast<unsigned>(width) + delta < static_cast<unsigned>(width);
  return dnn::simt::shuffle(mask, value, inside ? lane + delta : lane, place);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const dnn::simt::Place& place = dnn::simt::Place::current()) {
  dnn::simt::warp_barrier(mask, predicate != 0, place);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1u) bits |= static_cast<unsigned>(dnn::simt::warp_value(lane, place)) << lane;
  }
  return bits;
}

// One thread runs at a time, so that writes are seen at once and plain code is atomic.
inline void __threadfence() {}

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = static_cast<T>(old + value);
  return old;
}

template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  if (value < old) *address = value;
  return old;
}

template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  if (value > old) *address = value;
  return old;
}

template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> desired) {
  const T old = *address;
  if (old == expected) *address = desired;
  return old;
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

// ---- what the host sees ---------------------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorECCUncorrectable = 214,
  cudaErrorContained = 226,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorTensorMemoryLeak = 721,
  cudaErrorMpsClientTerminated = 810,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorCapturedEvent = 907,
  cudaErrorStreamCaptureWrongThread = 908,
  cudaErrorExternalDevice = 911,
  cudaErrorUnknown = 999,  // what the emulator reports when a kernel or a guard band failed
};

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };

enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
};

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
};

namespace dnn::simt {
struct Stream;
struct Event;
struct Graph;
struct GraphExec;
}  // namespace dnn::simt
using cudaStream_t = dnn::simt::Stream*;
using cudaEvent_t = dnn::simt::Event*;
using cudaGraph_t = dnn::simt::Graph*;
using cudaGraphExec_t = dnn::simt::GraphExec*;
using cudaGraphNode_t = void*;

enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2,
};
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone = 0,
  cudaStreamCaptureStatusActive = 1,
  cudaStreamCaptureStatusInvalidated = 2,
};

inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDisableTiming = 2;

cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);

cudaError_t cudaMalloc(void** data, size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaMallocHost(void** data, size_t bytes);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaFuncGetName(const char** name, const void* function);
