// Making contexts, waiting, and what a wait reports.
#include "cuda/context.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/capture.h"
#include "core/plan_file.h"
#include "cuda/check.h"
#include "cuda/device.h"
#include "cuda/graph.h"
#include "cuda/packed_filters.h"
#include "dnn/error.h"
#include "dnn/tensor.h"

namespace dnn::cuda {

namespace {

constexpr LabelFault no_fault = ~LabelFault{0};

std::mutex contexts_mutex;
std::array<std::atomic<Context*>, 128> contexts;

cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  DNN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

std::string readable_name(const void* kernel) {
  const char* mangled = nullptr;
  if (cudaFuncGetName(&mangled, kernel) != cudaSuccess || mangled == nullptr) return "a kernel";
  int status = 0;
  char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  const std::string name = text != nullptr ? text : mangled;
  std::free(text);
  return name.substr(0, name.find('('));
}

}  // namespace

Context& Context::of(int index) {
  check_alive();
  const auto& usable = devices().usable;
  const auto i = static_cast<size_t>(index);
  if (index < 0 || i >= std::min(usable.size(), contexts.size()))
    throw DeviceError(fmt::format("device: cuda:{} does not exist, expected an index below {}", index, usable.size()));
  DNN_CUDA_CHECK(cudaSetDevice(usable[i].ordinal));
  Context* context = contexts[i].load(std::memory_order_acquire);
  if (context == nullptr) {
    const std::lock_guard lock(contexts_mutex);
    context = contexts[i].load(std::memory_order_acquire);
    if (context == nullptr) contexts[i].store(context = new Context(index), std::memory_order_release);
  }
  if (context->recording_.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
    context->await_recording();
  return *context;
}

Context* Context::existing(int index) noexcept {
  return contexts[static_cast<size_t>(index)].load(std::memory_order_acquire);
}

Context& Context::of(const Tensor& tensor) { return of(tensor.device().index()); }

Context& Context::current() {
  int ordinal = 0;
  DNN_CUDA_CHECK(cudaGetDevice(&ordinal));
  const auto& usable = devices().usable;
  const auto found = std::find_if(usable.begin(), usable.end(), [&](const auto& d) { return d.ordinal == ordinal; });
  return of(static_cast<int>(found - usable.begin()));
}

Context::Context(int index)
    : index_(index), stream_(make_stream()), copy_stream_(make_stream()), memory_(index, stream_) {
  const int ordinal = devices().usable[static_cast<size_t>(index)].ordinal;
  DNN_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, ordinal));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&peer_event_, cudaEventDisableTiming));
  DNN_CUDA_CHECK(cudaEventCreateWithFlags(&uploaded_, cudaEventDisableTiming));
  void* data = nullptr;
  constexpr size_t ticket_bytes = ticket_count * sizeof(unsigned);
  DNN_CUDA_CHECK(cudaMalloc(&data, status_bytes + ticket_bytes));
  status_ = static_cast<LabelFault*>(data);
  tickets_ = reinterpret_cast<unsigned*>(status_ + status_slots);
  DNN_CUDA_CHECK(cudaMemsetAsync(tickets_, 0, ticket_bytes, stream_));
  DNN_CUDA_CHECK(cudaMallocHost(&data, status_bytes));
  status_host_ = static_cast<LabelFault*>(data);
  std::fill_n(status_host_, status_slots, no_fault);
  DNN_CUDA_CHECK(cudaMemsetAsync(status_, 0xff, status_bytes, stream_));
  const char* sync = std::getenv("DNN_SYNC_LAUNCH");
  sync_launch_ = sync != nullptr && std::string_view(sync) == "1";
}

Grid Context::grid(int64_t items, int threads) const {
  const int64_t most = int64_t{multiprocessors_} * (2048 / threads) * 4;
  const int64_t needed = (items + threads - 1) / threads;
  return {static_cast<unsigned>(std::min(needed, most)), static_cast<unsigned>(threads)};
}

// ---- copies and waits -----------------------------------------------------------------------------------------------

void* Context::upload(const void* from, int64_t bytes) {
  refuse("a copy from the host");
  const bool large = bytes >= upload_bytes;
  void* data = large ? memory_.take_for_upload(bytes, copy_stream_) : nullptr;
  const bool overlaps = data != nullptr;
  if (!overlaps) data = large ? memory_.allocate_for_upload(bytes) : memory_.allocate(bytes);
  try {
    if (!overlaps) {
      to_device(data, from, bytes);
      return data;
    }
    const std::lock_guard lock(upload_mutex_);
    waits_ += staging_.to_device(data, from, bytes, copy_stream_);
    DNN_CUDA_CHECK(cudaEventRecord(uploaded_, copy_stream_));
    DNN_CUDA_CHECK(cudaStreamWaitEvent(stream_, uploaded_));
    return data;
  } catch (...) {
    // Whoever gets the memory next must come after what is already on its way.
    if (overlaps && cudaEventRecord(uploaded_, copy_stream_) == cudaSuccess) cudaStreamWaitEvent(stream_, uploaded_);
    memory_.release(data);
    throw;
  }
}

void Context::to_device(void* to, const void* from, int64_t bytes) {
  refuse("a copy from the host");
  waits_ += staging_.to_device(to, from, bytes, stream_);
}

void Context::copy(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  DNN_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream_));
}

void Context::to_host(void* to, const void* from, int64_t bytes) {
  refuse("a wait for a copy to the host");
  ++waits_;
  const uint64_t fetched = fetch_status();
  staging_.to_host(to, from, bytes, stream_);
  check_status(fetched);
  detail::save_idle_plans();
}

void Context::copy_from(Context& source, void* to, const void* from, int64_t bytes) {
  refuse("a copy from another GPU");
  source.refuse("a copy to another GPU");
  const auto& usable = devices().usable;
  const auto ordinal = [&](int index) { return usable[static_cast<size_t>(index)].ordinal; };
  // The copy runs on this stream, after the source's work so far and before the source's work from now on.
  of(source.index_);
  DNN_CUDA_CHECK(cudaEventRecord(source.peer_event_, source.stream_));
  of(index_);
  DNN_CUDA_CHECK(cudaStreamWaitEvent(stream_, source.peer_event_));
  DNN_CUDA_CHECK(
      cudaMemcpyPeerAsync(to, ordinal(index_), from, ordinal(source.index_), static_cast<size_t>(bytes), stream_));
  DNN_CUDA_CHECK(cudaEventRecord(peer_event_, stream_));
  of(source.index_);
  DNN_CUDA_CHECK(cudaStreamWaitEvent(source.stream_, peer_event_));
  of(index_);
}

void Context::wait() {
  refuse("a wait for the GPU");
  ++waits_;
  const uint64_t fetched = fetch_status();
  DNN_CUDA_CHECK(cudaStreamSynchronize(stream_));
  check_status(fetched);
  detail::save_idle_plans();
}

void Context::launched(const void* kernel, cudaError_t error) {
  ++launches_;
  if (error == cudaSuccess && sync_launch_) error = cudaStreamSynchronize(stream_);
  if (error != cudaSuccess) throw_failure(error, readable_name(kernel));
  if (sync_launch_) wait();
}

void Context::called(const char* function) {
  ++launches_;
  if (!sync_launch_) return;
  if (const cudaError_t error = cudaStreamSynchronize(stream_); error != cudaSuccess) throw_failure(error, function);
  wait();
}

void Context::release_cached() {
  memory_.release_cached();
  staging_.release_large();
}

// ---- the status block -----------------------------------------------------------------------------------------------

LabelFault* Context::label_fault(int64_t classes, const char* where, const char* noun) {
  const std::lock_guard lock(status_mutex_);
  LabelCheck check{classes, checks_given_++, where, noun};
  // Never a slot that may hold the fault of a check of another kind, or is a graph's, unless all do or are.
  const auto serves = [&](const LabelCheck& old) {
    const bool alike =
        old.classes == classes && std::string_view(old.where) == where && std::string_view(old.noun) == noun;
    return alike || (old.graphs == 0 && (old.number < checks_done_ || *old.where == 0));
  };
  size_t slot = check.number % status_slots;
  for (size_t i = 0; i < status_slots && !serves(label_checks_[slot]); ++i) slot = (slot + 1) % status_slots;
  check.graphs = label_checks_[slot].graphs;
  label_checks_[slot] = check;
  if (Recording* const step = recording()) step->add_check(status_ + slot), ++label_checks_[slot].graphs;
  return status_ + slot;
}

void Context::release_check(LabelFault* slot) noexcept {
  const std::lock_guard lock(status_mutex_);
  --label_checks_[static_cast<size_t>(slot - status_)].graphs;
}

void Context::repeat_check(LabelFault* slot) {
  const std::lock_guard lock(status_mutex_);
  label_checks_[static_cast<size_t>(slot - status_)].number = checks_given_++;
}

uint64_t Context::fetch_status() {
  const std::lock_guard lock(status_mutex_);
  if (checks_given_ == checks_done_) return checks_given_;
  DNN_CUDA_CHECK(cudaMemcpyAsync(status_host_, status_, status_bytes, cudaMemcpyDeviceToHost, stream_));
  return checks_given_;
}

void Context::check_status(uint64_t fetched) {
  const std::lock_guard lock(status_mutex_);
  if (fetched <= checks_done_) return;
  checks_done_ = fetched;
  const LabelCheck* first = nullptr;
  LabelFault fault = no_fault;
  for (size_t i = 0; i < status_slots; ++i) {
    if (status_host_[i] == no_fault || (first != nullptr && first->number < label_checks_[i].number)) continue;
    first = &label_checks_[i];
    fault = status_host_[i];
  }
  if (first == nullptr) return;
  DNN_CUDA_CHECK(cudaMemsetAsync(status_, 0xff, status_bytes, stream_));
  std::fill_n(status_host_, status_slots, no_fault);
  const auto label = static_cast<int32_t>(static_cast<uint32_t>(fault));
  const bool clamped = label == INT32_MAX || label == INT32_MIN;
  throw IndexError(fmt::format("{}: {} {}{} at position {}, expected 0 <= {} < {}", first->where, first->noun, label,
                               clamped ? " (or beyond)" : "", fault >> 32, first->noun, first->classes));
}

// ---- tables ---------------------------------------------------------------------------------------------------------

const void* Context::table(std::span<const std::byte> bytes) {
  Recording* const step = recording();
  const std::lock_guard lock(table_mutex_);
  const auto found = std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) {
    return t.bytes.size() == bytes.size() && std::memcmp(t.bytes.data(), bytes.data(), bytes.size()) == 0;
  });
  if (found != tables_.end()) {
    tables_.splice(tables_.begin(), tables_, found);
    if (step != nullptr) step->keep(found->data);
    return found->data.get();
  }
  if (step != nullptr) return step->constant(bytes);
  if (tables_.size() == table_limit) tables_.pop_back();
  const auto size = static_cast<int64_t>(bytes.size());
  const std::shared_ptr<void> data(memory_.allocate(size), [this](void* memory) { memory_.release(memory); });
  to_device(data.get(), bytes.data(), size);
  tables_.push_front({{bytes.begin(), bytes.end()}, data});
  return data.get();
}

// ---- recording ------------------------------------------------------------------------------------------------------

Recording* Context::recording() const {
  Recording* const step = recording_.load(std::memory_order_relaxed);
  return step != nullptr && step->is_of_this_thread() ? step : nullptr;
}

void Context::begin_recording(std::unique_ptr<Recording> recording) {
  DNN_CUDA_CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  memory_.enter(recording->pool());
  recording_ = recording.release();
}

std::unique_ptr<Recording> Context::end_recording(cudaGraph_t& graph, cudaError_t& error) noexcept {
  error = cudaStreamEndCapture(stream_, &graph);
  memory_.leave();
  std::unique_ptr<Recording> step;
  {
    const std::lock_guard lock(recording_mutex_);
    step.reset(recording_.exchange(nullptr));
  }
  recorded_.notify_all();
  if (step) forget_packed_filters(step->number());
  return step;
}

void Context::await_recording() {
  std::unique_lock lock(recording_mutex_);
  recorded_.wait(lock, [this] {
    const Recording* const step = recording_;
    return step == nullptr || step->is_of_this_thread();
  });
}

void Context::refuse(const char* what) const {
  if (recording() != nullptr) detail::interrupt_capture(what);
}

}  // namespace dnn::cuda
