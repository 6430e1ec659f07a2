// Metrics are sums in float64 tensors on the device of the batches; reading one is the only thing that waits.
#include "dnn/train/metric.h"

#include <fmt/format.h>

#include <limits>

#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "train/device_sum.h"
#include "train/state_numbers.h"

namespace dnn {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

void check_number(const char* where, const char* name, const Tensor& t) {
  if (!t.defined()) throw ArgumentError(fmt::format("{}: {} is undefined, expected a number", where, name));
  if (t.rank() != 0)
    throw ShapeError(fmt::format("{}: {} is {}, expected [], one number", where, name, t.shape().str()));
}

}  // namespace

void Accuracy::reset() {
  if (correct_.defined()) correct_.zero_();
  samples_ = 0;
}

bool Accuracy::applies(const Tensor& output, const Tensor& target) {
  return output.rank() == 2 && is_floating(output.dtype()) && target.rank() == 1 && output.size(0) == target.size(0) &&
         (target.dtype() == DType::int64 || target.dtype() == DType::int32);
}

void Accuracy::update(const Tensor& output, const Tensor& target) {
  const bool shares = output.rank() == 2 && target.shape() == output.shape();
  if (!shares && (output.rank() != 2 || target.rank() != 1 || output.size(0) != target.size(0)))
    throw ShapeError(
        fmt::format("accuracy: output {} and target {} do not fit, expected [n, classes] and [n], or one shape",
                    output.shape().str(), target.shape().str()));
  if (shares ? !is_floating(output.dtype()) || !is_floating(target.dtype()) : !applies(output, target))
    throw DTypeError(
        fmt::format("accuracy: output is {} and target {} {}, expected a floating type and int64 or int32 "
                    "[n], or a floating type [n, classes]",
                    name_of(output.dtype()), name_of(target.dtype()), target.shape().str()));
  const NoGrad no_grad;
  const Tensor classes = shares ? argmax(target, 1) : target;
  add(sum(eq(argmax(output.detach(), 1), classes)), classes.numel());
}

void Accuracy::add(const Tensor& correct, int64_t samples) {
  check_number("accuracy", "correct", correct);
  accumulate(correct_, correct, 1);
  detail::repeat([this, samples] { samples_ += samples; }, [this, before = samples_] { samples_ = before; });
}

StateDict Accuracy::state_dict() const {
  return {{"correct", correct_.defined() ? correct_ : state_number(0.0)}, {"samples", state_number(samples_)}};
}

void Accuracy::load_state_dict(const StateDict& state) {
  const Tensor correct = state_tensor(state, "accuracy", "correct", DType::float64, {});
  samples_ = state_count(state, "accuracy", "samples");
  correct_ = correct.clone();
}

double Accuracy::value() const { return samples_ == 0 ? none : correct_.item() / static_cast<double>(samples_); }

void RunningMean::reset() {
  if (sum_.defined()) sum_.zero_();
  weight_ = 0;
}

void RunningMean::add(const Tensor& value, double weight) {
  if (value.numel() != 1)
    throw ShapeError(fmt::format("running mean: value is {}, expected one element", value.shape().str()));
  accumulate(sum_, value.reshape({}), weight);
  detail::repeat([this, weight] { weight_ += weight; }, [this, before = weight_] { weight_ = before; });
}

void RunningMean::add_sum(const Tensor& sum, double weight) {
  check_number("running mean", "sum", sum);
  accumulate(sum_, sum, 1);
  detail::repeat([this, weight] { weight_ += weight; }, [this, before = weight_] { weight_ = before; });
}

StateDict RunningMean::state_dict() const {
  return {{"sum", sum_.defined() ? sum_ : state_number(0.0)}, {"weight", state_number(weight_)}};
}

void RunningMean::load_state_dict(const StateDict& state) {
  const Tensor sum = state_tensor(state, "running mean", "sum", DType::float64, {});
  weight_ = state_value(state, "running mean", "weight");
  sum_ = sum.clone();
}

double RunningMean::value() const { return weight_ == 0 ? none : sum_.item() / weight_; }

}  // namespace dnn
