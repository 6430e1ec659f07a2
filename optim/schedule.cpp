// Schedules in closed form, and what applies them.
#include "dnn/optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "dnn/error.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

void check_steps(const char* name, int64_t steps) {
  if (steps < 1) throw ArgumentError(fmt::format("{}: steps is {}, expected at least 1", name, steps));
}

// From `from` at 0 to `to` at 1 along half a cosine.
double cosine(double from, double to, double done) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * done));
}

double number(const StateDict& state, const char* where, const char* name) {
  const Tensor* tensor = state.find(name);
  if (tensor == nullptr || tensor->numel() != 1)
    throw ArgumentError(fmt::format("{}: the state has no number '{}'", where, name));
  return tensor->item();
}

int64_t count(const StateDict& state, const char* where, const char* name) {
  const double value = number(state, where, name);
  if (!(value >= 0 && value < 0x1p53))
    throw ArgumentError(fmt::format("{}: '{}' of the state is {}, expected a count", where, name, value));
  return static_cast<int64_t>(value);
}

}  // namespace

double ConstantRate::operator()(int64_t) const { return factor; }

double StepDecay::operator()(int64_t step) const {
  check_steps("StepDecay", every);
  return std::pow(gamma, static_cast<double>(step / every));
}

double MultiStepDecay::operator()(int64_t step) const {
  const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](int64_t m) { return m <= step; });
  return std::pow(gamma, static_cast<double>(passed));
}

double ExponentialDecay::operator()(int64_t step) const { return std::pow(gamma, static_cast<double>(step)); }

double PolynomialDecay::operator()(int64_t step) const {
  check_steps("PolynomialDecay", steps);
  return std::pow(1 - static_cast<double>(std::min(step, steps)) / static_cast<double>(steps), power);
}

double CosineDecay::operator()(int64_t step) const {
  check_steps("CosineDecay", steps);
  return cosine(1, min, static_cast<double>(std::min(step, steps)) / static_cast<double>(steps));
}

double OneCycle::operator()(int64_t step) const {
  check_steps("OneCycle", steps);
  if (!(pct_start >= 0 && pct_start <= 1))
    throw ArgumentError(fmt::format("OneCycle: pct_start is {}, expected 0 to 1", pct_start));
  if (!(div_factor > 0 && final_div_factor > 0))
    throw ArgumentError(
        fmt::format("OneCycle: the divisors are {} and {}, expected positive numbers", div_factor, final_div_factor));
  const double first = 1 / div_factor, last = first / final_div_factor;
  const double end = static_cast<double>(steps - 1), peak = pct_start * static_cast<double>(steps) - 1;
  const double at = std::min(static_cast<double>(step), end);
  if (at <= peak) return peak > 0 ? cosine(first, 1, at / peak) : 1;
  const double top = std::max(peak, 0.0);
  return end > top ? cosine(1, last, (at - top) / (end - top)) : last;
}

double LinearWarmup::operator()(int64_t step) const {
  check_steps("LinearWarmup", steps);
  if (step >= steps) return then(step - steps);
  return start + (1 - start) * static_cast<double>(step) / static_cast<double>(steps);
}

LrScheduler::LrScheduler(Optimizer& optimizer, Schedule schedule)
    : optimizer_(&optimizer), schedule_(std::move(schedule)) {
  if (!schedule_) throw ArgumentError("LrScheduler: the schedule is empty, expected a function of the step");
  optimizer_->scale_lr(schedule_(0));
}

void LrScheduler::step() {
  optimizer_->scale_lr(schedule_(step_ + 1));
  ++step_;
}

StateDict LrScheduler::state_dict() const { return {{"step", full({}, step_, {.dtype = DType::int64})}}; }

void LrScheduler::load_state_dict(const StateDict& state) {
  const int64_t step = count(state, "LrScheduler", "step");
  optimizer_->scale_lr(schedule_(step));
  step_ = step;
}

ReduceOnPlateau::ReduceOnPlateau(const PlateauOptions& options)
    : options_(options), best_(options.maximize ? -infinity : infinity) {
  if (!(options.factor >= 0 && options.factor < 1))
    throw ArgumentError(fmt::format("ReduceOnPlateau: factor is {}, expected a number in [0, 1)", options.factor));
  if (options.patience < 0 || options.cooldown < 0)
    throw ArgumentError(fmt::format("ReduceOnPlateau: patience is {} and cooldown {}, expected at least 0",
                                    options.patience, options.cooldown));
}

double ReduceOnPlateau::step(double measure) {
  const double margin = std::isinf(best_) ? 0 : std::abs(best_) * options_.threshold;
  const bool better = options_.maximize ? measure > best_ + margin : measure < best_ - margin;
  if (better) best_ = measure;
  bad_ = better ? 0 : bad_ + 1;
  if (cooling_ > 0) {
    --cooling_;
    bad_ = 0;
  }
  if (bad_ > options_.patience) {
    product_ = std::max(product_ * options_.factor, options_.min_factor);
    cooling_ = options_.cooldown;
    bad_ = 0;
  }
  return product_;
}

StateDict ReduceOnPlateau::state_dict() const {
  const TensorOptions real{.dtype = DType::float64}, whole{.dtype = DType::int64};
  return {{"best", full({}, best_, real)},
          {"factor", full({}, product_, real)},
          {"bad", full({}, bad_, whole)},
          {"cooling", full({}, cooling_, whole)}};
}

void ReduceOnPlateau::load_state_dict(const StateDict& state) {
  const char* where = "ReduceOnPlateau";
  const double best = number(state, where, "best"), product = number(state, where, "factor");
  const int64_t bad = count(state, where, "bad"), cooling = count(state, where, "cooling");
  best_ = best, product_ = product, bad_ = bad, cooling_ = cooling;
}

}  // namespace dnn
