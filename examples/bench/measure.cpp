// How a case is timed: a warm-up, then single steps for about as long as asked; on a GPU also steps back to back.
#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

using namespace dnn;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// VmRSS or VmHWM of this process, in bytes.
int64_t resident(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes = 0;
    if (word == field + ":" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

// Multiplications and additions of one step. Training computes two gradients for every product, but the first layer's
// input needs none.
int64_t flops_of(Layer& net, const Case& what, const Shape& sample) {
  const Summary summary = dnn::summary(net, sample);
  if (!what.train) return 2 * summary.macs * what.batch;
  int64_t first = 0;
  for (const SummaryRow& row : summary.rows)
    if (row.macs > 0) {
      first = row.macs;
      break;
    }
  return 2 * (3 * summary.macs - first) * what.batch;
}

struct Times {
  double median, min, max;
};

Times time_steps(const std::function<void()>& step, Device device, double seconds) {
  const auto one = [&] {
    const auto start = Clock::now();
    step();
    synchronize(device);
    return seconds_since(start) * 1e3;
  };
  const auto warm_up = Clock::now();
  for (int i = 0; i < 20 && (i <= 2 || seconds_since(warm_up) <= seconds / 2); ++i) one();
  if (device.is_cuda()) reset_peak_memory(device);
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 5 || (seconds_since(start) < seconds && times.size() < 2000)) times.push_back(one());
  std::ranges::sort(times);
  double median = times[times.size() / 2];
  if (times.size() % 2 == 0) median = (median + times[times.size() / 2 - 1]) / 2;
  if (device.is_cuda()) {
    const int n = static_cast<int>(std::clamp(seconds * 500 / std::max(median, 1e-3), 5.0, 500.0));
    const auto together = Clock::now();
    for (int i = 0; i < n; ++i) step();
    synchronize(device);
    median = std::min(median, seconds_since(together) * 1e3 / n);
  }
  return {median, times.front(), times.back()};
}

}  // namespace

Measurement measure(const Case& what) {
  Measurement result{.what = what};
  const Workload& work = workload(what.workload);
  const Device device = what.device;
  int64_t& batch = result.what.batch;
  if (batch == 0) batch = work.batch(device);
  if (what.precision != "fp32" && what.precision != "tf32")
    throw ArgumentError("precision " + what.precision + " is not there yet, expected fp32 or tf32");
  if (what.precision == "tf32" && device.is_cpu()) throw ArgumentError("tf32 is a GPU's");
  if (what.mode != "eager") throw ArgumentError("mode " + what.mode + " is not there yet, expected eager");
  if (device.is_cuda()) allow_tf32({.convolution = what.precision == "tf32", .product = what.precision == "tf32"});

  manual_seed(0);
  const int64_t before = resident("VmRSS");
  const std::unique_ptr<Layer> net = work.network();
  net->to(device);
  std::vector<int64_t> sizes{batch};
  for (const int64_t size : work.sample) sizes.push_back(size);
  const Tensor x = randn(Shape(sizes), {.device = device});
  const Tensor y = randint(0, work.classes, {batch}, {.dtype = DType::int64, .device = device});
  Times times{};
  if (what.train) {
    const std::shared_ptr<Optimizer> optimizer = work.optimizer(net->parameters());
    Tensor last;
    times = time_steps(
        [&] {
          net->zero_grad();
          const Tensor loss = cross_entropy((*net)(x), y);
          loss.backward();
          optimizer->step();
          last = loss.detach();
        },
        device, what.seconds);
    result.loss = last.item();
    if (!std::isfinite(*result.loss)) throw Error("the loss is " + std::to_string(*result.loss));
  } else {
    const NoGrad no_grad;
    net->eval();
    times = time_steps([&] { (*net)(x); }, device, what.seconds);
  }
  result.peak_bytes = device.is_cpu() ? resident("VmHWM") - before : memory_stats(device).peak;
  result.median_ms = times.median, result.min_ms = times.min, result.max_ms = times.max;
  result.threads = system_report().cpu.threads;
  net->to(Device::cpu());
  result.flops = flops_of(*net, result.what, work.sample);
  return result;
}
