// Memory, kernels and streams of the emulated machine, and the controls of simt.h.
#include "tests/simt/machine.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include "tests/simt/engine.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace dnn::simt {

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, unsigned blocks, unsigned threads,
                           std::function<void()> thread);

thread_local cudaStreamCaptureMode thread_capture_mode = cudaStreamCaptureModeGlobal;

Runtime& state() {
  static auto* runtime = new Runtime;  // never destroyed: tensors in static storage may outlive it
  return *runtime;
}

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

namespace {

constexpr size_t guard_bytes = 64;
constexpr unsigned char guard_byte = 0xa5;
constexpr unsigned char poison = 0xff;

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

}  // namespace

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

namespace {

std::string look_up(const void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_sname == nullptr) return "unknown kernel";
  int status = 0;
  char* text = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  if (text == nullptr) return info.dli_sname;
  std::string name = text;
  std::free(text);
  return name;
}

}  // namespace

std::string demangled(const void* function) {
  static std::map<const void*, std::string> names;  // dladdr searches all symbols of the program
  const auto [found, is_new] = names.try_emplace(function);
  if (is_new) found->second = look_up(function);
  return found->second;
}

namespace {

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

}  // namespace

void note_traffic(const std::string& name, std::span<const std::byte> arguments) {
  const Lock lock(state().mutex);
  if (!state().counting_traffic) return;
  const auto& blocks = state().blocks;
  std::set<const unsigned char*> touched;
  for (size_t i = 0; i + sizeof(void*) <= arguments.size(); i += sizeof(void*)) {
    unsigned char* pointer = nullptr;
    std::memcpy(&pointer, arguments.data() + i, sizeof pointer);
    auto block = blocks.upper_bound(pointer);
    if (block == blocks.begin()) continue;
    --block;
    const bool inside = pointer < block->first + block->second.bytes;
    if (inside && !block->second.pinned && touched.insert(block->first).second) note_traffic(name, block->second.bytes);
  }
}

void note_traffic(const std::string& name, size_t bytes) {
  const Lock lock(state().mutex);
  if (state().counting_traffic) state().traffic[name] += static_cast<int64_t>(bytes);
}

cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, unsigned blocks, unsigned threads,
                           std::span<const std::byte> arguments, std::function<void()> thread) {
  const Lock lock(state().mutex);
  if (threads == 0 || threads > 1024 || blocks > 0x7fffffffu) return cudaErrorInvalidConfiguration;
  state().counters.launches += stream->capture == nullptr;
  Launch launch{demangled(kernel), blocks, threads, std::move(thread)};
  launch.name = launch.name.substr(0, launch.name.find('('));
  state().executed.insert(short_name(launch.name));
  const std::string name = short_name(launch.name);
  note_traffic(name, arguments);
  enqueue(stream, {name, [launch = std::move(launch), order = state().order, seed = state().seed] {
                     execute(launch, order, seed);
                   }});
  return report_failure();
}

// ---- streams --------------------------------------------------------------------------------------------------------

namespace {

void run(const Work& work) {
  if (state().tracing && !work.name.empty()) state().trace.push_back(work.name);
  work.run();
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

}  // namespace

void note_stream(Stream* stream) {
  auto& streams = state().streams;
  if (std::find(streams.begin(), streams.end(), stream) == streams.end()) streams.push_back(stream);
}

void enqueue(Stream* stream, Work work) {
  note_stream(stream);
  if (state().lost) return;
  if (stream->capture != nullptr) {
    stream->capture->graph->nodes.push_back(std::move(work));
  } else if (state().host_access > 0) {
    run(work);
  } else {
    stream->work.push_back(std::move(work));
  }
}

void perform(Stream* stream, const char* name, std::span<const std::byte> arguments, std::function<void()> run) {
  note_traffic(name, arguments);
  {
    const Lock lock(state().mutex);
    if (stream->capture != nullptr) return enqueue(stream, {name, std::move(run)});
  }
  const HostAccess access;
  run();
}

bool forbidden_by_capture() {
  bool forbidden = false;
  for (Stream* stream : state().streams) {
    if (stream->capture == nullptr || stream->capture->thread != std::this_thread::get_id()) continue;
    if (thread_capture_mode == cudaStreamCaptureModeRelaxed) continue;
    stream->capture->valid = false;
    forbidden = true;
  }
  return forbidden;
}

void finish(Stream* stream) {
  while (!stream->work.empty()) advance(stream);
}

void finish(Event* event, uint64_t recording) {
  while (event->completed < recording) advance(event->stream);
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

void start_traffic() {
  const Lock lock(state().mutex);
  state().counting_traffic = true;
  state().traffic.clear();
}

std::map<std::string, int64_t> take_traffic() {
  const Lock lock(state().mutex);
  state().counting_traffic = false;
  return std::exchange(state().traffic, {});
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
