// How a case is timed: a warm-up, then single steps for about as long as asked; on a GPU also steps back to back.
#include "examples/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "examples/bench/cost.h"

using namespace dnn;

namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// VmRSS or VmHWM of this process, in bytes.
int64_t resident(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes = 0;
    if (word == field + ":" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

std::vector<std::string> precisions(Device device) {
  if (device.is_cpu()) return {"fp32"};
  return {"tf32", "fp32"};
}

void use_precision(const std::string& precision) {
  allow_tf32({.convolution = precision == "tf32", .product = precision == "tf32"});
}

void check(const Case& what) {
  workload(what.workload);
  std::string known;
  for (const std::string& precision : precisions(what.device)) known += (known.empty() ? "" : " or ") + precision;
  if (const auto list = precisions(what.device); std::ranges::find(list, what.precision) == list.end())
    throw ArgumentError("precision is " + what.precision + ", expected " + known + " (device " + what.device.str() +
                        ")");
  if (what.mode != "eager") throw ArgumentError("mode is " + what.mode + ", expected eager");
  if (what.batch < 0) throw ArgumentError("batch is " + std::to_string(what.batch) + ", expected 0 or more");
  if (!(what.seconds >= 0)) throw ArgumentError("seconds are " + std::to_string(what.seconds) + ", expected 0 or more");
}

Times time_steps(const std::function<void()>& step, Device device, double seconds) {
  const auto one = [&] {
    const auto start = SteadyClock::now();
    step();
    synchronize(device);
    return seconds_since(start) * 1e3;
  };
  const auto warm_up = SteadyClock::now();
  for (int i = 0; i < 20 && (i <= 2 || seconds_since(warm_up) <= seconds / 2); ++i) one();
  if (device.is_cuda()) reset_peak_memory(device);
  std::vector<double> times;
  const auto start = SteadyClock::now();
  while (times.size() < 5 || (seconds_since(start) < seconds && times.size() < 2000)) times.push_back(one());
  std::ranges::sort(times);
  double middle = median(times);
  if (device.is_cuda()) {
    const int n = static_cast<int>(std::clamp(seconds * 500 / std::max(middle, 1e-3), 5.0, 500.0));
    const auto together = SteadyClock::now();
    for (int i = 0; i < n; ++i) step();
    synchronize(device);
    middle = std::min(middle, seconds_since(together) * 1e3 / n);
  }
  return {middle, times.front(), times[(times.size() * 9 - 1) / 10], times.back()};
}

Row measure(const Case& what) {
  check(what);
  const Workload& work = workload(what.workload);
  const Device device = what.device;
  const int64_t batch = what.batch == 0 ? work.batch(device) : what.batch;
  if (device.is_cuda()) use_precision(what.precision);

  manual_seed(0);
  const int64_t before = resident("VmRSS");
  const std::unique_ptr<Layer> net = work.network();
  net->to(device);
  const Tensor x = randn(work.sample.with(0, batch), {.device = device});
  const Tensor y = randint(0, work.classes, {batch}, {.dtype = DType::int64, .device = device});
  Times times{};
  std::optional<double> loss;
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
    loss = last.item();
    if (!std::isfinite(*loss)) throw Error("the loss is " + std::to_string(*loss) + ", expected a finite number");
  } else {
    const NoGrad no_grad;
    net->eval();
    times = time_steps([&] { (*net)(x); }, device, what.seconds);
  }
  Row row{.framework = "libdnn",
          .device = device.is_cpu() ? "cpu" : "cuda",
          .workload = what.workload,
          .phase = what.train ? "train" : "infer",
          .dtype = what.precision,
          .mode = what.mode,
          .batch = batch,
          .median_ms = times.median,
          .min_ms = times.min,
          .samples_per_s = static_cast<double>(batch) / times.median * 1e3,
          .p90_ms = times.p90,
          .max_ms = times.max,
          .loss = loss};
  row.peak_bytes = device.is_cpu() ? resident("VmHWM") - before : memory_stats(device).peak;
  const SystemReport report = system_report();
  row.version = report.version;
  if (device.is_cpu()) row.threads = report.cpu.threads;
  net->to(Device::cpu());
  const Cost cost = cost_of(*net, work, what.train, batch);
  row.flops = cost.flops, row.layer_bytes = cost.layer_bytes;
  return row;
}
