// How a row is timed.
#include "tests/benchmarks/bench.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <map>

#include "core/kernels/conv.h"
#include "core/node.h"
#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "dnn/profile.h"

namespace dnn::bench {

// ---- tensors -------------------------------------------------------------------------------------------------------

Tensor Place::random(const Shape& shape) const { return rand(shape, {.device = device}); }

Tensor Place::integers(const Shape& shape, int64_t below) const {
  return randint(0, below, shape, {.dtype = DType::int64, .device = device});
}

Tensor Place::images(int64_t channels, int64_t side) const {
  return random({std::max<int64_t>(1, n / (channels * side * side)), channels, side, side});
}

Tensor Place::native_images(int64_t channels, int64_t side) const {
  return detail::in_layout(images(channels, side), native_layout(device));
}

Tensor Place::rows(int64_t columns) const { return random({std::max<int64_t>(1, n / columns), columns}); }

detail::Layout native_layout(Device device) {
  const kernel::ConvProblem problem{{32, 64, 56, 56}, {64, 64, 3, 3}, {32, 64, 56, 56}, 1, 1};
  detail::Layout layout = detail::Layout::plain;
  if (kernel::conv2d_layout.filled(device)) kernel::conv2d_layout[device](problem, detail::Layout::plain, &layout);
  return layout;
}

Make of(const Inputs& inputs, const Call& call) {
  return [=](const Place& p) { return Operation{inputs(p), call}; };
}

namespace {

template <class One>
Inputs several(int count, One one) {
  return [=](const Place& p) {
    Tensors tensors;
    for (int i = 0; i < count; ++i) tensors.push_back(one(p));
    return tensors;
  };
}

}  // namespace

Inputs vectors(int count) {
  return several(count, [](const Place& p) { return p.random({p.n}); });
}

Inputs matrices(int64_t columns, int count) {
  return several(count, [=](const Place& p) { return p.rows(columns); });
}

Inputs images(int64_t channels, int64_t side) {
  return several(1, [=](const Place& p) { return p.images(channels, side); });
}

Inputs natives(int64_t channels, int64_t side, int count) {
  return several(count, [=](const Place& p) { return p.native_images(channels, side); });
}

// ---- copies --------------------------------------------------------------------------------------------------------

namespace {

using Clock = std::chrono::steady_clock;

// Calls between two waits: on a GPU enough to hide the launches.
int64_t calls_together(Device device) { return device.is_cpu() ? 1 : 16; }

double measure_copy(Device device, int64_t bytes) {
  const Place place{device, std::max<int64_t>(1, bytes / 8)};
  const Tensor from = place.random({place.n});
  Tensor to = empty_like(from);
  const int64_t calls = calls_together(device);
  double best = 1e30, total = 0;
  for (int64_t i = 0; i < 10 || total < 0.05; ++i) {
    synchronize(device);
    const auto start = Clock::now();
    for (int64_t k = 0; k < calls; ++k) to.copy_(from);
    synchronize(device);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    if (i > 1) best = std::min(best, seconds / static_cast<double>(calls));
  }
  return static_cast<double>(8 * place.n) / best;
}

}  // namespace

double copy_bandwidth(Device device, int64_t bytes) {
  static std::map<std::pair<int, int>, double> known;
  const int power = std::bit_width(static_cast<uint64_t>(std::max<int64_t>(bytes, 64)) * 2 / 3);
  const auto key = std::pair(static_cast<int>(device.type()), power);
  if (!known.contains(key)) known[key] = measure_copy(device, int64_t{1} << power);
  return known[key];
}

// ---- rows ----------------------------------------------------------------------------------------------------------

namespace {

// One call of a pass; what it needs is made beforehand.
std::function<void()> step_of(const Operation& operation, bool backward) {
  if (!backward)
    return [operation] {
      const NoGrad no_grad;
      operation.call(operation.inputs);
    };
  for (Tensor t : operation.inputs)
    if (is_floating(t.dtype())) t.set_requires_grad(true);
  const Tensor y = operation.call(operation.inputs);
  const Tensor gradient =
      detail::in_layout(ones(y.shape(), {.dtype = y.dtype(), .device = y.device()}), detail::layout_of(y));
  return [operation, y, gradient] {
    for (Tensor t : operation.inputs) t.zero_grad();
    y.backward(gradient, {.retain_graph = true});
  };
}

void time_row(benchmark::State& state, const Row& row, const Place& place, bool backward) {
  const std::function<void()> step = step_of(row.make(place), backward);
  step();  // plans and caches
  Profiler profiler;
  {
    const auto running = profiler.start();
    step();
  }
  ProfileTotal total;
  for (const ProfileRow& part : profiler.by_operation()) total += part.total();

  const int64_t calls = calls_together(place.device);
  while (state.KeepRunningBatch(calls)) {
    for (int64_t i = 0; i < calls; ++i) step();
    synchronize(place.device);
  }
  using benchmark::Counter;
  const auto rate = [](double each) { return Counter(each, Counter::kIsIterationInvariantRate); };
  const auto bytes = static_cast<double>(total.bytes);
  state.counters["bytes_per_second"] = rate(bytes);
  state.counters["of_copy"] = rate(bytes / copy_bandwidth(place.device, total.bytes));
  state.counters["FLOP/s"] = rate(static_cast<double>(total.flops));  // also 0: in CSV all rows have the same columns
}

}  // namespace

void register_family(const Family& family, Device device, bool smoke) {
  std::vector<int64_t> sizes = device.is_cpu() ? family.sizes.cpu : family.sizes.gpu;
  if (smoke) sizes = {*std::ranges::min_element(sizes)};
  for (const Row& row : family.rows)
    for (const bool backward : {false, true})
      for (const int64_t size : sizes) {
        if (backward && row.passes == Passes::forward) continue;
        const std::string name = family.name + "/" + row.name + (backward ? "/backward/" : "/forward/") +
                                 (device.is_cpu() ? "cpu/" : "cuda/") + std::to_string(size);
        auto* const registered = benchmark::RegisterBenchmark(
            name.c_str(), [row, place = Place{device, size}, backward, smoke](benchmark::State& state) {
              try {
                time_row(state, row, place, backward);
              } catch (const Error& error) {
                if (smoke) throw;  // and ends the program
                state.SkipWithError(error.what());
              }
              release_cached_memory(place.device);
            });
        registered->UseRealTime()->Unit(benchmark::kMicrosecond);
        if (smoke) registered->Iterations(calls_together(device));
      }
}

}  // namespace dnn::bench
