// Timing one case: a workload, trained or used, on a device. And what the device can do at best.
#pragma once

#include "examples/bench/rows.h"
#include "examples/bench/workloads.h"

struct Case {
  std::string workload;
  bool train = true;
  dnn::Device device = {};
  std::string precision = "fp32", mode = "eager";
  int64_t batch = 0;   // 0: the workload's own
  double seconds = 3;  // about how long to time
  bool mark = false;   // whether one more step is marked for a profiler of NVIDIA's
};

// Throws ArgumentError for what cannot be measured: no such workload, precision or mode, a number out of range.
void check(const Case& what);

// The step of a case, ready to run: network and batch on the device, the optimizer for training.
class Step {
 public:
  // Throws what `check` and the network throw.
  explicit Step(const Case& what);
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  // Makes `steps` steps.
  void operator()();

  dnn::Layer& net() { return *net_; }
  int64_t batch() const { return x_.size(0); }
  // Steps that a call makes: one, or those of a graph.
  int64_t steps() const { return steps_; }
  // Of the last step of training; none at inference. Throws dnn::Error when it is not finite.
  std::optional<double> loss() const;

 private:
  dnn::Tensor run(const dnn::Tensor& x, const dnn::Tensor& labels);

  bool train_;
  int64_t steps_ = 1;
  dnn::DType autocast_;
  dnn::GradScaler scaler_;
  std::unique_ptr<dnn::Layer> net_;
  std::shared_ptr<dnn::Optimizer> optimizer_;
  dnn::Tensor x_, labels_, loss_;
  std::optional<dnn::Captured<dnn::Tensor(const dnn::Tensor&, const dnn::Tensor&)>> graph_;
};

// Throws what `Step` throws, and dnn::Error for a loss that is not finite.
Row measure(const Case& what);

// The precisions of a device, the one first that is measured when none is asked for.
std::vector<std::string> precisions(dnn::Device device);

// Chooses how float32 is computed from now on: exactly for fp32 alone.
void use_precision(const std::string& precision);
// The type that work of a precision is cast to.
dnn::DType autocast_of(const std::string& precision);

struct Times {
  double median, min, p90, max;  // milliseconds; nine steps of ten take at most p90
};
// A warm-up, then single calls of `step` for about `seconds`; on a GPU also calls back to back, of which the median is
// the lower. The times are those of a step where a call makes `steps` of them.
Times time_steps(const std::function<void()>& step, dnn::Device device, double seconds, int64_t steps = 1);
