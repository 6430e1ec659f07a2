// The scheduler of threads, the barriers, the exchange between lanes, shared memory.
#include "tests/simt/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace dnn::simt {

namespace {

constexpr size_t shared_limit = 48 * 1024;
constexpr size_t guard_bytes = 64;
constexpr unsigned char poison = 0xff;  // NaN in every floating type, -1 in every integer

// All threads of a barrier mostly share one literal as the file's name, and are asked about it all the time.
bool same_place(const Place& a, const Place& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

std::string where(const Place& place) {
  const std::string_view file = place.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), place.line());
}

}  // namespace

Engine& Engine::instance() {
  // Never destroyed: static tensors give memory back at exit, and that runs what is queued.
  static auto* engine = new Engine;
  return *engine;
}

void Engine::fail(const std::string& what) const {
  throw Failure(fmt::format("{}: block {}: {}", launch_->name, blockIdx.x, what));
}

std::vector<unsigned> Engine::permutation(unsigned n) {
  std::vector<unsigned> result(n);
  std::iota(result.begin(), result.end(), 0u);
  if (order_ == Order::backward) std::reverse(result.begin(), result.end());
  if (order_ == Order::shuffled) std::shuffle(result.begin(), result.end(), random_);
  return result;
}

void Engine::run(const Launch& launch, Order order, uint64_t seed) {
  launch_ = &launch;
  order_ = order;
  random_.seed(seed);
  shared_.clear();
  gridDim = {launch.blocks, 1, 1};
  blockDim = {launch.threads, 1, 1};
  try {
    for (const unsigned block : permutation(launch.blocks)) {
      blockIdx = {block, 0, 0};
      ++block_serial_;
      run_block();
    }
  } catch (...) {
    // Parked fibers never go on.
    idle_.clear();
    for (const auto& fiber : fibers_) fiber->restart(), idle_.push_back(fiber.get());
    throw;
  }
}

void Engine::run_block() {
  threads_.assign(launch_->threads, {});
  thrown_ = nullptr;
  do {
    for (const unsigned warp : permutation((launch_->threads + 31) / 32)) run_warp(32 * warp);
  } while (release());
  check_shared();
}

// Runs the warp of that first thread until all its threads wait for the block or have finished.
void Engine::run_warp(unsigned first) {
  const unsigned lanes = std::min(32u, launch_->threads - first);
  const auto select = [&](auto&& wanted) {
    std::vector<unsigned> selected;
    for (const unsigned lane : permutation(lanes)) {
      if (wanted(first + lane)) selected.push_back(first + lane);
    }
    return selected;
  };
  sequence_ = select([&](unsigned i) { return threads_[i].state == State::fresh; });
  next_ = 0;
  while (next_ < sequence_.size()) {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(serve, this));
      idle_.push_back(fibers_.back().get());
    }
    Fiber* const fiber = idle_.back();
    idle_.pop_back();
    resume(fiber);
  }
  auto ready = select([&](unsigned i) { return threads_[i].state == State::released; });
  do {
    for (const unsigned i : ready) {
      enter(i);
      resume(threads_[i].fiber);
    }
    ready = select([&](unsigned i) { return threads_[i].state == State::at_warp_barrier && warp_complete(i); });
  } while (!ready.empty());
}

void Engine::resume(Fiber* fiber) {
  fiber_ = fiber;
  fiber->resume();
  if (thrown_) std::rethrow_exception(thrown_);
}

// The life of a fiber: thread after thread, and idle when there is none left to take.
void Engine::serve(void* engine) {
  auto* self = static_cast<Engine*>(engine);
  for (;;) {
    Fiber* const mine = self->fiber_;
    while (self->thrown_ == nullptr && self->take_thread()) {
      try {
        self->launch_->thread();
      } catch (...) {
        self->thrown_ = std::current_exception();
      }
      self->threads_[self->current_].state = State::finished;
    }
    self->idle_.push_back(mine);
    mine->leave();
  }
}

bool Engine::take_thread() {
  if (next_ == sequence_.size()) return false;
  enter(sequence_[next_++]);
  threads_[current_].fiber = fiber_;
  return true;
}

void Engine::enter(unsigned index) {
  current_ = index;
  threadIdx = {index, 0, 0};
  threads_[index].state = State::running;
}

void Engine::park(State state, const Place& place) {
  threads_[current_].state = state;
  threads_[current_].place = place;
  fiber_->leave();
}

// Opens the block's barrier when all threads are there; false when all have finished instead.
bool Engine::release() {
  const auto finished = [](const Thread& t) { return t.state == State::finished; };
  if (std::all_of(threads_.begin(), threads_.end(), finished)) return false;
  const Place& place = threads_[0].place;
  for (Thread& t : threads_) {
    if (t.state != State::at_block_barrier || !same_place(t.place, place)) fail(why_stuck());
  }
  for (Thread& t : threads_) t.state = State::released;
  return true;
}

bool Engine::warp_complete(unsigned index) const {
  const Thread& thread = threads_[index];
  const unsigned first = index / 32 * 32;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((thread.mask >> lane & 1u) == 0) continue;
    if (first + lane >= threads_.size()) return false;
    const Thread& other = threads_[first + lane];
    if (other.state != State::at_warp_barrier || other.mask != thread.mask) return false;
    if (other.exchanges != thread.exchanges || !same_place(other.place, thread.place)) return false;
  }
  return true;
}

std::string Engine::why_stuck() const {
  std::map<std::string, std::vector<unsigned>> groups;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    const Thread& t = threads_[i];
    const std::string state = t.state == State::finished           ? "returned"
                              : t.state == State::at_block_barrier ? "waits at the block's barrier in " + where(t.place)
                                                                   : "waits for its warp in " + where(t.place);
    groups[state].push_back(i);
  }
  std::string text;
  for (const auto& [state, members] : groups)
    text += fmt::format("{}thread {} ({} in all) {}", text.empty() ? "" : ", ", members[0], members.size(), state);
  return "not every thread reaches each barrier: " + text;
}

void Engine::block_barrier(const Place& place) { park(State::at_block_barrier, place); }

void Engine::warp_barrier(unsigned mask, uint64_t value, const Place& place) {
  Thread& thread = threads_[current_];
  if ((mask >> current_ % 32 & 1u) == 0)
    fail(fmt::format("thread {} is not in its own mask {:#x} in {}", current_, mask, where(place)));
  thread.mask = mask;
  thread.values[thread.exchanges % 2] = value;
  park(State::at_warp_barrier, place);
  ++threads_[current_].exchanges;
}

uint64_t Engine::warp_value(unsigned lane, const Place& place) {
  const Thread& thread = threads_[current_];
  if (lane >= 32 || (thread.mask >> lane & 1u) == 0)
    fail(fmt::format("thread {} reads lane {}, which takes no part (mask {:#x}) in {}", current_, lane, thread.mask,
                     where(place)));
  return threads_[current_ / 32 * 32 + lane].values[(thread.exchanges - 1) % 2];
}

void* Engine::shared_array(const void* key, size_t bytes) {
  SharedArray& array = shared_[key];
  if (array.block != block_serial_) {
    array.bytes.assign(bytes + guard_bytes, poison);
    array.size = bytes;
    array.block = block_serial_;
    size_t total = 0;
    for (const auto& [unused, other] : shared_) total += other.size;
    if (total > shared_limit)
      fail(fmt::format("the block's shared arrays take {} bytes, expected at most {}", total, shared_limit));
  }
  return array.bytes.data();
}

void Engine::check_shared() const {
  for (const auto& [unused, array] : shared_) {
    const auto band = array.bytes.begin() + static_cast<std::ptrdiff_t>(array.size);
    if (!std::all_of(band, array.bytes.end(), [](unsigned char byte) { return byte == poison; }))
      fail(fmt::format("a write behind a shared array of {} bytes", array.size));
  }
}

void block_barrier(const Place& place) { Engine::instance().block_barrier(place); }
void warp_barrier(unsigned mask, uint64_t value, const Place& place) {
  Engine::instance().warp_barrier(mask, value, place);
}
uint64_t warp_value(unsigned lane, const Place& place) { return Engine::instance().warp_value(lane, place); }
void* shared_array(const void* key, size_t bytes) { return Engine::instance().shared_array(key, bytes); }

}  // namespace dnn::simt
