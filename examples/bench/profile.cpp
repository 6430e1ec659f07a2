// A case under the profiler: the same steps as those that are timed.
#include "examples/bench/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace dnn;

namespace {

// One step of a case, with all that it needs.
class Steps {
 public:
  explicit Steps(const Case& what) : device_(what.device) {
    const Workload& work = workload(what.workload);
    if (device_.is_cuda()) use_precision(what.precision);
    manual_seed(0);
    net_ = work.network();
    net_->to(device_);
    batch_ = what.batch == 0 ? work.batch(device_) : what.batch;
    x_ = randn(work.sample.with(0, batch_), {.device = device_});
    labels_ = randint(0, work.classes, {batch_}, {.dtype = DType::int64, .device = device_});
    if (what.train)
      optimizer_ = work.optimizer(net_->parameters());
    else
      net_->eval();
  }

  int64_t batch() const { return batch_; }

  // Seconds of that many steps.
  double run(int64_t count) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < count; ++i) step();
    synchronize(device_);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  void step() {
    if (!optimizer_) {
      const NoGrad no_grad;
      (*net_)(x_);
      return;
    }
    net_->zero_grad();
    Tensor loss;
    {
      const Tensor y = (*net_)(x_);
      const ProfileRange range("loss");
      loss = cross_entropy(y, labels_);
    }
    loss.backward();
    const ProfileRange range("optimizer");
    optimizer_->step();
  }

  Device device_;
  std::unique_ptr<Layer> net_;
  std::shared_ptr<Optimizer> optimizer_;
  int64_t batch_ = 0;
  Tensor x_, labels_;
};

}  // namespace

std::string profile(const Case& what, const std::string& trace) {
  check(what);
  if (!trace.empty()) prepare_to_write(trace);
  Steps steps(what);
  steps.run(2);  // plans, caches, what is folded once
  const double each = steps.run(1);
  const auto count = static_cast<int64_t>(std::clamp(std::round(what.seconds / std::max(each, 1e-6)), 3.0, 1000.0));

  Profiler profiler;
  {
    const auto running = profiler.start();
    steps.run(count);
  }
  std::string text = fmt::format("{} {}, {} on {}, batch {}: a step, the mean of {}\n\n{}\n{}", what.workload,
                                 what.train ? "train" : "infer", what.precision, what.device.str(), steps.batch(),
                                 count, profiler.layer_table(count), profiler.operation_table(count));
  if (trace.empty()) return text;
  profiler.clear();
  {
    const auto running = profiler.start();
    steps.run(3);
  }
  profiler.chrome_trace(trace);
  return text + fmt::format("trace: {}\n", trace);
}
