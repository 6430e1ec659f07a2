// How a case is timed: a warm-up, then single steps for about as long as asked; on a GPU also steps back to back.
#include "examples/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "examples/bench/cost.h"
#include "examples/bench/mark.h"

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

// 0 for a mode without graphs.
int64_t steps_of_a_graph(const std::string& mode) { return mode == "graph" ? 1 : mode == "graph16" ? 16 : 0; }

}  // namespace

std::vector<std::string> precisions(Device device) {
  if (device.is_cpu()) return {"fp32"};
  return {"tf32", "fp32", "bf16", "fp16"};
}

void use_precision(const std::string& precision) {
  allow_tf32({.convolution = precision != "fp32", .product = precision != "fp32"});
}

DType autocast_of(const std::string& precision) { return autocast_dtype(arithmetic_of(precision)); }

void check(const Case& what) {
  workload(what.workload);
  std::string known;
  for (const std::string& precision : precisions(what.device)) known += (known.empty() ? "" : " or ") + precision;
  if (const auto list = precisions(what.device); std::ranges::find(list, what.precision) == list.end())
    throw ArgumentError("precision is " + what.precision + ", expected " + known + " (device " + what.device.str() +
                        ")");
  if (what.mode != "eager" && (steps_of_a_graph(what.mode) == 0 || what.device.is_cpu()))
    throw ArgumentError("mode is " + what.mode + ", expected eager" +
                        (what.device.is_cpu() ? "" : ", graph or graph16"));
  if (what.batch < 0) throw ArgumentError("batch is " + std::to_string(what.batch) + ", expected 0 or more");
  if (!(what.seconds >= 0)) throw ArgumentError("seconds are " + std::to_string(what.seconds) + ", expected 0 or more");
}

Times time_steps(const std::function<void()>& step, Device device, double seconds, int64_t steps) {
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
  const auto share = static_cast<double>(steps);
  return {middle / share, times.front() / share, times[(times.size() * 9 - 1) / 10] / share, times.back() / share};
}

Step::Step(const Case& what)
    : train_(what.train), autocast_(autocast_of(what.precision)), scaler_({.enabled = autocast_ == DType::float16}) {
  check(what);
  const Workload& work = workload(what.workload);
  const int64_t batch = what.batch == 0 ? work.batch(what.device) : what.batch;
  if (what.device.is_cuda()) use_precision(what.precision);
  manual_seed(0);
  net_ = work.network();
  net_->to(what.device);
  net_->train(train_);
  x_ = randn(work.sample.with(0, batch), {.device = what.device});
  labels_ = randint(0, work.classes, {batch}, {.dtype = DType::int64, .device = what.device});
  if (train_) optimizer_ = work.optimizer(net_->parameters());
  if (const int64_t steps = steps_of_a_graph(what.mode); steps > 0) {
    steps_ = steps;
    graph_.emplace(
        [this](const Tensor& x, const Tensor& labels) {
          for (int64_t i = 1; i < steps_; ++i) run(x, labels);
          return run(x, labels);
        },
        CaptureOptions{});
  }
}

void Step::operator()() {
  const Tensor result = graph_ ? (*graph_)(x_, labels_) : run(x_, labels_);
  if (train_) loss_ = result;
}

// The loss, at inference the outputs.
Tensor Step::run(const Tensor& x, const Tensor& labels) {
  if (!train_) {
    const NoGrad no_grad;
    const Autocast autocast(autocast_);
    return (*net_)(x);
  }
  net_->zero_grad();
  Tensor loss;
  {
    const Autocast autocast(autocast_);
    const Tensor y = (*net_)(x);
    const ProfileRange range("loss");
    loss = cross_entropy(y, labels);
  }
  scaler_.backward(loss);
  const ProfileRange range("optimizer");
  scaler_.step(*optimizer_);
  scaler_.update();
  return loss.detach();
}

std::optional<double> Step::loss() const {
  if (!train_) return std::nullopt;
  const double loss = loss_.item();
  if (!std::isfinite(loss)) throw Error("the loss is " + std::to_string(loss) + ", expected a finite number");
  return loss;
}

Row measure(const Case& what) {
  const int64_t before = resident("VmRSS");
  Step step(what);
  const Device device = what.device;
  const Times times = time_steps([&] { step(); }, device, what.seconds, step.steps());
  Row row{.framework = "libdnn",
          .device = device.is_cpu() ? "cpu" : "cuda",
          .workload = what.workload,
          .phase = what.train ? "train" : "infer",
          .dtype = what.precision,
          .mode = what.mode,
          .batch = step.batch(),
          .median_ms = times.median,
          .min_ms = times.min,
          .samples_per_s = static_cast<double>(step.batch()) / times.median * 1e3,
          .p90_ms = times.p90,
          .max_ms = times.max,
          .loss = step.loss()};
  row.peak_bytes = device.is_cpu() ? resident("VmHWM") - before : memory_stats(device).peak;
  if (what.mark) {
    const Mark mark;
    step();
    synchronize(device);
  }
  const SystemReport report = system_report();
  row.version = report.version;
  if (device.is_cpu()) row.threads = report.cpu.threads;
  step.net().to(Device::cpu());
  const Cost cost = cost_of(step.net(), workload(what.workload), what.train, step.batch());
  row.flops = cost.flops, row.layer_bytes = cost.layer_bytes;
  return row;
}
