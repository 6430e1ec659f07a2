// Collecting what the profiler shows.
#include "core/profile.h"

#include <algorithm>
#include <set>

#include "core/kernels/runtime.h"
#include "core/profile_data.h"
#include "core/text.h"
#include "dnn/error.h"

namespace dnn {

namespace detail {

namespace {

constinit thread_local Profile* current = nullptr;

std::atomic<uint64_t> runs{0};

// Ranges for NVIDIA's tools, where this libdnn has a GPU backend.
void push_range(const char* name) {
  if (const auto push = runtime_table(DeviceType::cuda).push_range; push != nullptr) push(name);
}

void pop_range() {
  if (const auto pop = runtime_table(DeviceType::cuda).pop_range; pop != nullptr) pop();
}

size_t open_span(Profile& profile, const char* operation) {
  profile.spans.push_back({.operation = operation, .part = profile.part, .start = profile.now()});
  push_range(operation != nullptr ? operation : profile.parts[profile.part].c_str());
  return profile.spans.size() - 1;
}

void close_span(Profile& profile, size_t span) {
  profile.spans[span].end = profile.now();
  pop_range();
}

// The profile of this thread, when it is still in that run.
Profile* in_run(uint64_t run) { return current != nullptr && current->run == run ? current : nullptr; }

}  // namespace

bool is_profiling() noexcept { return may_observe() && current != nullptr; }

std::string profiled_part() { return is_profiling() ? current->parts[current->part] : ""; }

uint64_t profiled_place() noexcept { return current == nullptr ? 0 : uint64_t{current->id} << 32 | current->part; }

int64_t traffic_of(const Tensor& t) {
  if (!t.defined()) return 0;
  int64_t elements = 1;
  for (int64_t d = 0; d < t.rank(); ++d)
    if (t.shape()[d] == 0 || t.strides()[d] != 0) elements *= t.shape()[d];
  return elements * static_cast<int64_t>(size_of(t.dtype()));
}

// ---- marks ---------------------------------------------------------------------------------------------------------

Mark::Mark(Device device) : device_(device) {
  if (const auto mark = runtime_table(device.type()).mark; mark != nullptr) handle_ = mark(device.index());
}

Mark::~Mark() {
  if (handle_ != nullptr) runtime_table(device_.type()).release_mark(handle_);
}

double Mark::until(const Mark& later) const {
  return runtime_table(device_.type()).seconds_between(handle_, later.handle_);
}

// ---- one profile ---------------------------------------------------------------------------------------------------

uint32_t Profile::next_id() {
  static std::atomic<uint32_t> last{0};
  return ++last;
}

uint32_t Profile::number_of(const std::string& name) {
  const auto [found, added] = part_numbers.emplace(name, static_cast<uint32_t>(parts.size()));
  if (added) parts.push_back(name);
  return found->second;
}

void Profile::complete() {
  std::map<int, double> origins;
  for (size_t i = operations.size(); i < events.size(); ++i) {
    ProfiledEvent& event = events[i];
    if (event.from) {
      const int index = event.device.index();
      const Mark& first = gpu_origins.at(index);
      if (!origins.contains(index)) {
        runtime(event.device).synchronize(index);
        const Mark last(event.device);
        runtime(event.device).synchronize(index);
        origins[index] = now() - first.until(last);
      }
      event.start = origins[index] + first.until(event.from);
      event.seconds = event.from.until(event.to);
      event.from = {}, event.to = {};
    }
    operations.push_back({.name = event.name,
                          .layer = parts[event.part],
                          .backward = event.backward,
                          .device = event.device,
                          .start = event.start,
                          .seconds = event.seconds,
                          .flops = event.flops,
                          .bytes = event.bytes,
                          .shapes = std::move(event.shapes)});
  }
}

// ---- calls of kernels ----------------------------------------------------------------------------------------------

ProfiledCall::ProfiledCall(const char* name, Device device)
    : profile_(current == nullptr || current->in_call ? nullptr : current) {
  if (profile_ == nullptr) return;
  profile_->call = {.name = name, .part = profile_->part, .backward = profile_->backward, .device = device};
}

ProfiledCall::~ProfiledCall() {
  if (!started_) return;
  profile_->in_call = false;
  if (profile_->call.device.is_cuda()) pop_range();
}

void ProfiledCall::add(const Tensor& t) {
  if (!t.defined()) return;
  profile_->call.bytes += traffic_of(t);
  profile_->call.shapes.push_back(t.shape());
}

void ProfiledCall::add(const Shape& shape) { profile_->call.shapes.push_back(shape); }

void ProfiledCall::add(const Work& work) {
  profile_->call.flops += work.flops;
  profile_->call.bytes += work.bytes;
}

void ProfiledCall::begin() {
  ProfiledEvent& call = profile_->call;
  if (call.shapes.empty()) return;
  if (call.device.is_cuda()) {
    Mark& origin = profile_->gpu_origins[call.device.index()];
    if (!origin) origin = Mark(call.device);
    call.from = Mark(call.device);
    push_range(call.name);
  }
  started_ = profile_->in_call = true;
  call.start = profile_->now();
}

void ProfiledCall::finish() {
  if (!started_) return;
  ProfiledEvent& call = profile_->call;
  call.seconds = profile_->now() - call.start;
  if (call.device.is_cuda()) call.to = Mark(call.device);
  profile_->events.push_back(std::move(call));
}

// ---- backward passes -----------------------------------------------------------------------------------------------

void ProfiledBackward::open(const char* name, uint64_t place) {
  if (current == nullptr) return;
  Profile& profile = *current;
  run_ = profile.run;
  before_ = profile.part, backward_before_ = profile.backward;
  profile.part = place >> 32 == profile.id ? static_cast<uint32_t>(place) : 0;
  profile.backward = true;
  span_ = open_span(profile, name);
}

void ProfiledBackward::close() {
  Profile* const profile = in_run(run_);
  if (profile == nullptr) return;
  close_span(*profile, span_);
  profile->part = before_, profile->backward = backward_before_;
}

}  // namespace detail

// ---- parts ---------------------------------------------------------------------------------------------------------

using detail::current;
using detail::Profile;

ProfileRange::ProfileRange(std::string_view name) {
  if (!detail::is_profiling()) return;
  const std::string outer = detail::profiled_part();
  open(outer.empty() ? std::string(name) : fmt::format("{}.{}", outer, name));
}

void ProfileRange::open(const std::string& part) {
  Profile& profile = *current;
  const uint32_t number = profile.number_of(part);
  run_ = profile.run;
  before_ = std::exchange(profile.part, number);
  span_ = detail::open_span(profile, nullptr);
}

void ProfileRange::close() {
  Profile* const profile = detail::in_run(run_);
  if (profile == nullptr) return;
  detail::close_span(*profile, span_);
  profile->part = before_;
}

// ---- the profiler --------------------------------------------------------------------------------------------------

Profiler::Profiler() : profile_(std::make_shared<Profile>()) {}

Profiler::Running::Running(std::shared_ptr<Profile> profile) : profile_(std::move(profile)) {
  Profile& p = *profile_;
  const bool first = !p.has_begun;
  if (first) p.begun = Profile::Clock::now();
  p.has_begun = true;
  p.part = 0, p.backward = false, p.in_call = false;
  p.first_span = p.spans.size();
  p.run_start = first ? 0 : p.now();
  current = &p;
  ++detail::observers;
}

Profiler::Running::~Running() {
  Profile& p = *profile_;
  --detail::observers;
  current = nullptr;
  p.run = 0;
  p.call = {};
  const double end = p.now();
  p.seconds += end - p.run_start;
  for (size_t i = p.first_span; i < p.spans.size(); ++i) {
    if (p.spans[i].end >= 0) continue;
    p.spans[i].end = end;
    detail::pop_range();
  }
}

Profiler::Running Profiler::start() {
  detail::ensure_installed();
  uint64_t stopped = 0;
  if (current != nullptr || !profile_->run.compare_exchange_strong(stopped, ++detail::runs))
    throw ArgumentError(fmt::format("Profiler: start while {} is running on {} thread, expected none on this one",
                                    profile_->run != 0 ? "this profiler" : "another profiler",
                                    current != nullptr ? "this" : "another"));
  return Running(profile_);
}

bool Profiler::running() const { return profile_->run != 0; }

void Profiler::clear() {
  if (running()) throw ArgumentError("Profiler: clear while it is running, expected after its end");
  profile_ = std::make_shared<Profile>();
}

}  // namespace dnn
