// The CUDA runtime calls of the emulator (see machine.h).
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "cuda_runtime.h"
#include "tests/simt/machine.h"

using namespace dnn::simt;

namespace {

bool usable(int device) { return device >= 0 && device < state().machine.devices && state().machine.driver > 0; }

thread_local int current_device = 0;

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) { return *version = state().machine.driver, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (state().machine.driver < 13000) return cudaErrorInsufficientDriver;
  if (state().machine.devices == 0) return cudaErrorNoDevice;
  return *count = state().machine.devices, cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (!usable(device)) return cudaErrorInvalidDevice;
  return current_device = device, cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) { return *device = current_device, cudaSuccess; }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (!usable(device)) return cudaErrorInvalidDevice;
  const Machine& machine = state().machine;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: return *value = machine.multiprocessors, cudaSuccess;
    case cudaDevAttrL2CacheSize: return *value = 1 << 12, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: return *value = machine.major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: return *value = machine.minor, cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!usable(device)) return cudaErrorInvalidDevice;
  std::strcpy(properties->name, "Emulated GPU");
  properties->totalGlobalMem = static_cast<size_t>(state().machine.memory);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  if (state().memory_in_use + static_cast<int64_t>(bytes) > state().machine.memory) return cudaErrorMemoryAllocation;
  const cudaError_t error = take_memory(data, bytes, false);
  if (error == cudaSuccess) {
    state().memory_in_use += static_cast<int64_t>(bytes);
    ++state().counters.allocations, ++state().counters.live_blocks;
  }
  return error;
}

cudaError_t cudaFree(void* data) {
  const Lock lock(state().mutex);
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  return state().lost ? report_failure() : give_memory(data, false);
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  if (state().pinned_in_use + static_cast<int64_t>(bytes) > state().machine.pinned) return cudaErrorMemoryAllocation;
  state().pinned_in_use += static_cast<int64_t>(bytes);
  return take_memory(data, bytes, true);
}

cudaError_t cudaFreeHost(void* data) {
  const Lock lock(state().mutex);
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  return state().lost ? report_failure() : give_memory(data, true);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  *total = static_cast<size_t>(state().machine.memory);
  *free = *total - static_cast<size_t>(state().memory_in_use);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  const char* name = kind == cudaMemcpyHostToDevice ? "upload" : kind == cudaMemcpyDeviceToHost ? "download" : "copy";
  note_traffic(name, kind == cudaMemcpyDeviceToDevice ? 2 * bytes : bytes);
  enqueue(stream, {name, [=] { std::memcpy(to, from, bytes); }});
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream) {
  if (!usable(to_device) || !usable(from_device)) return cudaErrorInvalidDevice;
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  note_traffic("fill", bytes);
  enqueue(stream, {"fill", [=] { std::memset(data, value, bytes); }});
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = new Stream{current_device, {}}, cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(state().mutex);
  drain();
  std::erase(state().streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (stream->capture != nullptr) return stream->capture->valid = false, cudaErrorStreamCaptureUnsupported;
  ++state().counters.waits;
  finish(stream);
  return report_failure();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  // Neither may a capture depend on work outside of it, nor work outside on a capture.
  if (stream->capture != nullptr) return stream->capture->valid = false, cudaErrorStreamCaptureIsolation;
  if (event->captured) return cudaErrorCapturedEvent;
  enqueue(stream, {"", [] {}, event, event->recorded, event->stream});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return *event = new Event{.device = current_device, .timed = (flags & cudaEventDisableTiming) == 0}, cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(state().mutex);
  drain();
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (event->device != stream->device) return cudaErrorInvalidValue;
  event->captured = stream->capture != nullptr;
  if (event->captured) return cudaSuccess;
  event->stream = stream;
  enqueue(stream, {"", [event, recording = ++event->recorded] {
                     event->completed = std::max(event->completed, recording);
                     event->seconds =
                         std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
                   }});
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (!start->timed || !end->timed) return cudaErrorInvalidResourceHandle;
  if (start->completed < start->recorded || end->completed < end->recorded) return cudaErrorNotReady;
  return *milliseconds = static_cast<float>((end->seconds - start->seconds) * 1e3), cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (event->captured) return cudaErrorCapturedEvent;
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  if (event->completed < event->recorded && state().machine.slow) return cudaErrorNotReady;
  finish(event, event->recorded);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(state().mutex);
  if (event->captured) return cudaErrorCapturedEvent;
  if (forbidden_by_capture()) return cudaErrorStreamCaptureUnsupported;
  ++state().counters.waits;
  finish(event, event->recorded);
  return report_failure();
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (stream->capture != nullptr) return cudaErrorInvalidValue;
  note_stream(stream);
  stream->capture = std::make_unique<Capture>(std::make_unique<Graph>(), std::this_thread::get_id());
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(state().mutex);
  *graph = nullptr;
  if (stream->capture == nullptr) return cudaErrorInvalidValue;
  if (stream->capture->thread != std::this_thread::get_id()) return cudaErrorStreamCaptureWrongThread;
  const std::unique_ptr<Capture> capture = std::move(stream->capture);
  if (state().lost) return report_failure();
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  return *graph = capture->graph.release(), cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(state().mutex);
  *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
            : stream->capture->valid   ? cudaStreamCaptureStatusActive
                                       : cudaStreamCaptureStatusInvalidated;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return std::swap(*mode, thread_capture_mode), cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  return *count = graph->nodes.size(), cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  ++state().counters.live_graphs;
  return *exec = new GraphExec{*graph}, cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (stream->capture != nullptr) return cudaErrorStreamCaptureUnsupported;  // CUDA nests graphs, libdnn does not
  ++state().counters.graph_launches;
  state().counters.graph_nodes += static_cast<int64_t>(exec->nodes.size());
  for (const Work& node : exec->nodes) enqueue(stream, node);
  return report_failure();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const Lock lock(state().mutex);
  state().counters.live_graphs -= exec != nullptr;
  return delete exec, cudaSuccess;
}

// ---- errors ---------------------------------------------------------------------------------------------------------

cudaError_t cudaGetLastError() {
  const Lock lock(state().mutex);
  return report_failure();
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureIsolation: return "cudaErrorStreamCaptureIsolation";
    case cudaErrorCapturedEvent: return "cudaErrorCapturedEvent";
    case cudaErrorStreamCaptureWrongThread: return "cudaErrorStreamCaptureWrongThread";
    case cudaErrorUnknown: return "cudaErrorUnknown";
    default: return "unrecognised error";
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  const Lock lock(state().mutex);
  if (error == cudaErrorIllegalAddress) return "an illegal memory access was encountered";
  return error == cudaErrorUnknown && !state().failure.empty() ? state().failure.c_str() : cudaGetErrorName(error);
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  const Lock lock(state().mutex);
  static std::set<std::string> names;
  return *name = names.insert(demangled(function)).first->c_str(), cudaSuccess;
}
