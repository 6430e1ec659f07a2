// The CUDA runtime calls of the emulator: devices, memory with guard bands, streams, events, errors.
//
// A stream is a queue. Work runs when somebody waits or asks (or at once under HostAccess), never when it is given, so
// that host code which reads or frees too early is caught. Streams know each other by events alone: a stream that
// should wait for another one and does not gets wrong data, in one order of the streams or the other (`Streams`).
// Device memory is filled with 0xff when handed out and lies between guard bands, checked after each kernel and on
// release. A failure stays pending until a call reports it.
#include <cxxabi.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <random>
#include <vector>

#include "cuda_runtime.h"
#include "tests/simt/engine.h"
#include "tests/simt/simt.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace dnn::simt {

struct Event {
  Stream* stream = nullptr;
  uint64_t recorded = 0;   // number of recordings given to streams
  uint64_t completed = 0;  // the last of them that a stream has reached
};

struct Work {
  std::string name;  // empty for events
  std::function<void()> run;
  Event* awaited = nullptr;  // runs when the event has reached that recording,
  uint64_t recording = 0;
  Stream* source = nullptr;  // which was given to that stream
};

struct Stream {
  std::deque<Work> work;
};

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, unsigned blocks, unsigned threads,
                           std::function<void()> thread);

namespace {

constexpr size_t guard_bytes = 64;
constexpr unsigned char guard_byte = 0xa5;
constexpr unsigned char poison = 0xff;

struct Block {
  size_t bytes = 0;
  bool pinned = false;
};

struct Runtime {
  std::recursive_mutex mutex;
  Machine machine;
  Order order = Order::forward;
  uint64_t seed = 1;
  Streams order_of_streams = Streams::lazy;
  std::mt19937_64 random;  // for it
  Counters counters;
  std::set<std::string> executed;
  std::map<unsigned char*, Block> blocks;
  int64_t memory_in_use = 0, pinned_in_use = 0;
  std::vector<Stream*> streams;  // in the order of their first work
  std::string pending;           // a failure that no call has reported yet
  std::string failure;           // the last one, for cudaGetErrorString
  int host_access = 0;
  bool lost = false;
  bool tracing = false;
  std::vector<std::string> trace;
};

Runtime& state() {
  static auto* runtime = new Runtime;  // never destroyed: tensors in static storage may outlive it
  return *runtime;
}

using Lock = std::lock_guard<std::recursive_mutex>;

void note_failure(const std::string& what) {
  if (state().pending.empty()) state().pending = what;
  state().failure = what;
}

cudaError_t report_failure() {
  if (state().lost) return cudaErrorIllegalAddress;
  if (state().pending.empty()) return cudaSuccess;
  state().pending.clear();
  return cudaErrorUnknown;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

// Under the address sanitizer nobody may touch the bands, and it reports who does.
void close_bands([[maybe_unused]] unsigned char* data, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(data - guard_bytes, guard_bytes);
  ASAN_POISON_MEMORY_REGION(data + bytes, guard_bytes);
#endif
}

void open_bands([[maybe_unused]] unsigned char* data, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(data - guard_bytes, bytes + 2 * guard_bytes);
#endif
}

[[maybe_unused]] bool intact(const unsigned char* data, size_t bytes) {
  for (size_t i = 0; i < guard_bytes; ++i) {
    if (data[-1 - static_cast<std::ptrdiff_t>(i)] != guard_byte || data[bytes + i] != guard_byte) return false;
  }
  return true;
}

void check_bands([[maybe_unused]] const std::string& by) {
#ifndef __SANITIZE_ADDRESS__
  for (auto& [data, block] : state().blocks) {
    if (intact(data, block.bytes)) continue;
    note_failure(fmt::format("{}: a write outside of a block of {} bytes", by, block.bytes));
    std::memset(data - guard_bytes, guard_byte, guard_bytes);
    std::memset(data + block.bytes, guard_byte, guard_bytes);
  }
#endif
}

cudaError_t take_memory(void** data, size_t bytes, bool pinned) {
  auto* base = static_cast<unsigned char*>(std::aligned_alloc(64, (bytes + 2 * guard_bytes + 63) / 64 * 64));
  if (base == nullptr) return cudaErrorMemoryAllocation;
  std::memset(base, guard_byte, guard_bytes);
  std::memset(base + guard_bytes, poison, bytes);
  std::memset(base + guard_bytes + bytes, guard_byte, guard_bytes);
  close_bands(base + guard_bytes, bytes);
  *data = base + guard_bytes;
  state().blocks[base + guard_bytes] = {bytes, pinned};
  return cudaSuccess;
}

cudaError_t give_memory(void* data, bool pinned) {
  if (data == nullptr) return cudaSuccess;
  drain();
  check_bands("found on release");
  const auto found = state().blocks.find(static_cast<unsigned char*>(data));
  if (found == state().blocks.end() || found->second.pinned != pinned) return cudaErrorInvalidValue;
  (pinned ? state().pinned_in_use : state().memory_in_use) -= static_cast<int64_t>(found->second.bytes);
  if (!pinned) --state().counters.live_blocks;
  open_bands(found->first, found->second.bytes);
  std::free(found->first - guard_bytes);
  state().blocks.erase(found);
  return cudaSuccess;
}

// ---- kernels --------------------------------------------------------------------------------------------------------

std::string demangled(const void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_sname == nullptr) return "unknown kernel";
  int status = 0;
  char* text = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  if (text == nullptr) return info.dli_sname;
  std::string name = text;
  std::free(text);
  return name;
}

// "void dnn::cuda::fill_kernel<float>(float*, long)" -> "fill_kernel".
std::string short_name(const std::string& full) {
  const size_t end = full.find_first_of("<(");
  size_t begin = full.find_last_of(": ", end);
  begin = begin == std::string::npos ? 0 : begin + 1;
  return full.substr(begin, end - begin);
}

using Snapshot = std::vector<std::pair<unsigned char*, std::vector<unsigned char>>>;

Snapshot save_memory() {
  Snapshot snapshot;
  for (const auto& [data, block] : state().blocks) {
    if (!block.pinned) snapshot.emplace_back(data, std::vector<unsigned char>(data, data + block.bytes));
  }
  return snapshot;
}

bool same_memory(const Snapshot& snapshot) {
  for (const auto& [data, bytes] : snapshot) {
    if (!bytes.empty() && std::memcmp(data, bytes.data(), bytes.size()) != 0) return false;
  }
  return true;
}

void restore_memory(const Snapshot& snapshot) {
  for (const auto& [data, bytes] : snapshot) {
    if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  }
}

void execute(const Launch& launch, Order order, uint64_t seed) {
  try {
    if (order != Order::every) {
      Engine::instance().run(launch, order, seed);
    } else {
      const Snapshot before = save_memory();
      Engine::instance().run(launch, Order::forward, seed);
      const Snapshot after = save_memory();
      for (const Order other : {Order::backward, Order::shuffled}) {
        restore_memory(before);
        Engine::instance().run(launch, other, seed);
        if (same_memory(after)) continue;
        note_failure(launch.name + ": the result depends on the order of the threads, so a barrier is missing");
        break;
      }
    }
  } catch (const std::exception& failure) {
    note_failure(failure.what());
  }
  check_bands(launch.name);
}

void run(const Work& work) {
  if (state().tracing && !work.name.empty()) state().trace.push_back(work.name);
  work.run();
}

void enqueue(Stream* stream, Work work) {
  auto& streams = state().streams;
  if (std::find(streams.begin(), streams.end(), stream) == streams.end()) streams.push_back(stream);
  if (state().lost) return;
  if (state().host_access > 0) {
    run(work);
  } else {
    stream->work.push_back(std::move(work));
  }
}

bool can_go_on(const Stream* stream) {
  if (stream->work.empty()) return false;
  const Work& next = stream->work.front();
  return next.awaited == nullptr || next.awaited->completed >= next.recording;
}

void run_next(Stream* stream) {
  const Work work = std::move(stream->work.front());
  stream->work.pop_front();
  run(work);
}

// Brings a stream, or one that it waits for, on by one piece of work; before that the others, where they go ahead.
void advance(Stream* stream) {
  std::vector<Stream*>& all = state().streams;
  if (state().order_of_streams == Streams::shuffled) {
    std::vector<Stream*> ready;
    std::copy_if(all.begin(), all.end(), std::back_inserter(ready), can_go_on);
    return run_next(ready.at(state().random() % ready.size()));
  }
  if (state().order_of_streams == Streams::ahead) {
    for (Stream* other : all)
      while (other != stream && can_go_on(other)) run_next(other);
  }
  while (!can_go_on(stream)) stream = stream->work.front().source;
  run_next(stream);
}

void finish(Stream* stream) {
  while (!stream->work.empty()) advance(stream);
}

// Runs the event's stream up to a recording of the event.
void finish(Event* event, uint64_t recording) {
  while (event->completed < recording) advance(event->stream);
}

bool usable(int device) { return device >= 0 && device < state().machine.devices && state().machine.driver > 0; }

thread_local int current_device = 0;

}  // namespace

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, unsigned blocks, unsigned threads,
                           std::function<void()> thread) {
  const Lock lock(state().mutex);
  if (threads == 0 || threads > 1024 || blocks > 0x7fffffffu) return cudaErrorInvalidConfiguration;
  ++state().counters.launches;
  Launch launch{demangled(kernel), blocks, threads, std::move(thread)};
  launch.name = launch.name.substr(0, launch.name.find('('));
  state().executed.insert(short_name(launch.name));
  const std::string name = short_name(launch.name);
  enqueue(stream, {name, [launch = std::move(launch), order = state().order, seed = state().seed] {
                     execute(launch, order, seed);
                   }});
  return report_failure();
}

// ---- controls -------------------------------------------------------------------------------------------------------

void set_order(Order order, uint64_t seed) {
  const Lock lock(state().mutex);
  drain();
  state().order = order, state().seed = seed;
}

void set_order(const std::string& text) {
  const std::string seed = text.find(':') == std::string::npos ? "1" : text.substr(text.find(':') + 1);
  const std::string name = text.substr(0, text.find(':'));
  const std::map<std::string, Order> orders = {{"forward", Order::forward},
                                               {"backward", Order::backward},
                                               {"shuffled", Order::shuffled},
                                               {"every", Order::every}};
  if (!orders.contains(name)) throw std::invalid_argument("no order of threads: " + text);
  set_order(orders.at(name), std::stoull(seed));
}

void set_streams(Streams streams, uint64_t seed) {
  const Lock lock(state().mutex);
  drain();
  state().order_of_streams = streams;
  state().random.seed(seed);
}

void lose_device() {
  const Lock lock(state().mutex);
  state().lost = true;
  for (Stream* stream : state().streams) {
    for (const Work& work : stream->work)
      if (work.name.empty()) work.run();  // nobody waits for an event for ever
    stream->work.clear();
  }
}

void repair_device() {
  const Lock lock(state().mutex);
  state().lost = false;
}

void start_trace() {
  const Lock lock(state().mutex);
  state().tracing = true;
  state().trace.clear();
}

std::vector<std::string> take_trace() {
  const Lock lock(state().mutex);
  state().tracing = false;
  return std::exchange(state().trace, {});
}

void set_machine(const Machine& machine) {
  const Lock lock(state().mutex);
  state().machine = machine;
}

Counters counters() {
  const Lock lock(state().mutex);
  return state().counters;
}

std::set<std::string> executed_kernels() {
  const Lock lock(state().mutex);
  return state().executed;
}

void drain() {
  const Lock lock(state().mutex);
  for (Stream* stream : state().streams) finish(stream);
}

std::string take_failure() {
  const Lock lock(state().mutex);
  drain();
  state().pending.clear();
  return std::exchange(state().failure, {});
}

HostAccess::HostAccess() {
  const Lock lock(state().mutex);
  drain();
  ++state().host_access;
}

HostAccess::~HostAccess() {
  const Lock lock(state().mutex);
  --state().host_access;
}

}  // namespace dnn::simt

// ---- the calls ------------------------------------------------------------------------------------------------------

using namespace dnn::simt;

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
  return state().lost ? report_failure() : give_memory(data, false);
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (state().pinned_in_use + static_cast<int64_t>(bytes) > state().machine.pinned) return cudaErrorMemoryAllocation;
  state().pinned_in_use += static_cast<int64_t>(bytes);
  return take_memory(data, bytes, true);
}

cudaError_t cudaFreeHost(void* data) {
  const Lock lock(state().mutex);
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
  enqueue(stream, {"fill", [=] { std::memset(data, value, bytes); }});
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(state().mutex);
  drain();
  std::erase(state().streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(state().mutex);
  ++state().counters.waits;
  finish(stream);
  return report_failure();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  enqueue(stream, {"", [] {}, event, event->recorded, event->stream});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = new Event, cudaSuccess; }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(state().mutex);
  drain();
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  event->stream = stream;
  enqueue(stream,
          {"", [event, recording = ++event->recorded] { event->completed = std::max(event->completed, recording); }});
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(state().mutex);
  if (state().lost) return report_failure();
  if (event->completed < event->recorded && state().machine.slow) return cudaErrorNotReady;
  finish(event, event->recorded);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(state().mutex);
  ++state().counters.waits;
  finish(event, event->recorded);
  return report_failure();
}

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
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
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
