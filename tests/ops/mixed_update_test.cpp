// Updates of float32 parameters with gradients and shadows of 16 bits, the numbers that control them, and the measures
// of gradients of mixed types, against float64 loops on every device.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/kernels/optim.h"
#include "core/kernels/runtime.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

using List = std::vector<Tensor>;
using Values = std::vector<double>;

const std::vector<int64_t> sizes{37, 1, 0, 5000};

// Those that are there.
std::vector<Device> devices() {
  std::vector<Device> all;
  for (const Device device : table_devices())
    if (device_count(device.type()) > 0) all.push_back(device);
  return all;
}

Values values(const List& list) {
  Values all;
  for (const Tensor& t : list)
    for (const double value : t.to(DType::float64).to_vector<double>()) all.push_back(value);
  return all;
}

List random_list(DType type, Device device, double low) {
  List list;
  for (const int64_t n : sizes) list.push_back((rand({n}) * (2 - low) + low).to(type).to(device));
  return list;
}

// An element of a rule: new parameter and states from the gradient, in step `step`.
using Formula = std::function<double(double p, double g, double* state, double step)>;

struct Rule {
  std::string name;
  int states;
  std::function<void(const List&, const List&, const std::vector<List>&, const kernel::UpdateExtras&)> update;
  Formula formula;
};

// The seventh step of each.
constexpr int64_t number = 7;

std::vector<Rule> rules() {
  const SgdUpdate s{.lr = 0.1, .momentum = 0.9, .dampening = 0.25, .weight_decay = 0.01, .step = number};
  const AdamUpdate a{.lr = 0.1, .eps = 1e-3, .weight_decay = 0.1, .decoupled_decay = true, .step = number};
  const RmspropUpdate r{.lr = 0.1, .alpha = 0.5, .eps = 1e-3, .momentum = 0.5, .centered = true};
  const AdagradUpdate g{
      .lr = 0.1, .eps = 1e-3, .weight_decay = 0.1, .initial_sum = 0.5, .lr_decay = 0.1, .step = number};
  return {
      {"sgd", 1,
       [=](const List& p, const List& d, const std::vector<List>& states, const kernel::UpdateExtras& extras) {
         kernel::sgd_update[p[0].device()](p, d, states[0], s, extras);
       },
       [=](double p, double d, double* v, double step) {
         d += s.weight_decay * p;
         *v = step == 1 ? d : s.momentum * *v + (1 - s.dampening) * d;
         return p - s.lr * *v;
       }},
      {"sgd without momentum", 0,
       [=](const List& p, const List& d, const std::vector<List>&, const kernel::UpdateExtras& extras) {
         kernel::sgd_update[p[0].device()](p, d, {}, {.lr = 0.1}, extras);
       },
       [=](double p, double d, double*, double) { return p - 0.1 * d; }},
      {"adam", 2,
       [=](const List& p, const List& d, const std::vector<List>& states, const kernel::UpdateExtras& extras) {
         kernel::adam_update[p[0].device()](p, d, states[0], states[1], a, extras);
       },
       [=](double p, double d, double* m, double step) {
         p *= 1 - a.lr * a.weight_decay;
         m[0] = a.beta1 * m[0] + (1 - a.beta1) * d;
         m[1] = a.beta2 * m[1] + (1 - a.beta2) * d * d;
         const double square = m[1] / (1 - std::pow(a.beta2, step));
         return p - a.lr * m[0] / (1 - std::pow(a.beta1, step)) / (std::sqrt(square) + a.eps);
       }},
      {"rmsprop", 3,
       [=](const List& p, const List& d, const std::vector<List>& states, const kernel::UpdateExtras& extras) {
         kernel::rmsprop_update[p[0].device()](p, d, states[0], states[1], states[2], r, extras);
       },
       [=](double p, double d, double* m, double) {
         m[0] = r.alpha * m[0] + (1 - r.alpha) * d * d;
         m[1] = r.alpha * m[1] + (1 - r.alpha) * d;
         m[2] = r.momentum * m[2] + d / (std::sqrt(m[0] - m[1] * m[1]) + r.eps);
         return p - r.lr * m[2];
       }},
      {"adagrad", 1,
       [=](const List& p, const List& d, const std::vector<List>& states, const kernel::UpdateExtras& extras) {
         kernel::adagrad_update[p[0].device()](p, d, states[0], g, extras);
       },
       [=](double p, double d, double* sum, double step) {
         d += g.weight_decay * p;
         *sum += (step == 1 ? g.initial_sum : 0) + d * d;
         return p - g.lr / (1 + (step - 1) * g.lr_decay) * d / (std::sqrt(*sum) + g.eps);
       }},
  };
}

// The states of a rule; the first one is a mean square in all rules that have one, and large enough for any mean.
std::vector<List> states_of(const Rule& rule, Device device) {
  std::vector<List> states;
  for (int s = 0; s < rule.states; ++s) states.push_back(random_list(DType::float32, device, 0.1));
  if (rule.states == 3)
    for (Tensor& t : states[0]) t.add_(6);
  return states;
}

struct Control {
  double factor = 1;
  bool skip = false;
  int64_t skipped = 0;
};

void expect_close(const Values& actual, const Values& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], 4e-6 * (1 + std::abs(expected[i]))) << what << " " << i;
}

void expect_update(const Rule& rule, DType gradient_type, std::optional<DType> shadow_type, const Control& control,
                   Device device) {
  manual_seed(5);
  const List parameters = random_list(DType::float32, device, -2);
  const List gradients = random_list(gradient_type, device, -2);
  const std::vector<List> states = states_of(rule, device);
  kernel::UpdateExtras extras;
  if (control.factor != 1) extras.control.factor = full({}, control.factor, {.device = device});
  if (control.skip || control.skipped > 0) {
    extras.control.skip = full({}, control.skip ? 1.0 : 0.0, {.device = device});
    extras.control.skipped = full({}, static_cast<double>(control.skipped), {.device = device});
  }
  if (shadow_type)
    for (size_t i = 0; i < parameters.size(); ++i)  // one parameter of the list has none
      extras.shadows.push_back(i == 1 ? Tensor() : zeros(parameters[i].shape(), {*shadow_type, device}));

  Values p = values(parameters), s[3];
  const Values g = values(gradients);
  for (int k = 0; k < rule.states; ++k) s[k] = values(states[static_cast<size_t>(k)]);
  const auto step = static_cast<double>(number - control.skipped);
  for (size_t i = 0; i < p.size() && !control.skip; ++i) {
    double state[3] = {};
    for (int k = 0; k < rule.states; ++k) state[k] = s[k][i];
    p[i] = rule.formula(p[i], control.factor * g[i], state, step);
    for (int k = 0; k < rule.states; ++k) s[k][i] = state[k];
  }
  rule.update(parameters, gradients, states, extras);
  expect_close(values(parameters), p, "parameter");
  for (int k = 0; k < rule.states; ++k) expect_close(values(states[static_cast<size_t>(k)]), s[k], "state");
  for (size_t i = 0; i < extras.shadows.size(); ++i) {
    const Tensor& shadow = extras.shadows[i];
    if (!shadow.defined()) continue;
    const Tensor expected = control.skip ? zeros_like(shadow) : parameters[i].to(*shadow_type);
    EXPECT_EQ(values({shadow}), values({expected})) << "shadow " << i;
  }
  if (!extras.control.skipped.defined()) return;
  EXPECT_EQ(extras.control.skipped.item(), static_cast<double>(control.skipped + (control.skip ? 1 : 0)));
}

TEST(MixedUpdates, FollowTheFormulasInEveryCombinationOfTypes) {
  detail::ensure_installed();
  for (const Device device : devices())
    for (const Rule& rule : rules())
      for (const DType gradient : {DType::float32, DType::float16, DType::bfloat16})
        for (const std::optional<DType> shadow :
             {std::optional<DType>(), std::optional(DType::float16), std::optional(DType::bfloat16)}) {
          SCOPED_TRACE(rule.name + " on " + device.str() + ", gradient " + name_of(gradient) + ", shadow " +
                       (shadow ? name_of(*shadow) : "none"));
          expect_update(rule, gradient, shadow, {}, device);
        }
}

TEST(MixedUpdates, TakeTheFactorTheStepAndWhetherToUpdateFromTheDevice) {
  detail::ensure_installed();
  for (const Device device : devices())
    for (const Rule& rule : rules())
      for (const Control& control : {Control{.factor = 0.125}, Control{.skipped = 2}, Control{.skipped = number - 1},
                                     Control{.factor = 3, .skip = true, .skipped = 1}, Control{.skip = true}}) {
        SCOPED_TRACE(rule.name + " on " + device.str() + ", factor " + std::to_string(control.factor) + ", skip " +
                     std::to_string(control.skip) + ", skipped " + std::to_string(control.skipped));
        expect_update(rule, DType::bfloat16, DType::bfloat16, control, device);
      }
}

TEST(MixedUpdates, CountVersionsOfWhatTheyChange) {
  for (const Device device : devices()) {
    const Tensor p = ones({3}, {.device = device}), g = ones({3}, {DType::bfloat16, device});
    const Tensor skipped = zeros({}, {.device = device});
    const uint64_t before = p.version(), count = skipped.version();
    sgd_update_({p}, {g}, {}, {.lr = 0.5}, {.factor = full({}, 0.5, {.device = device}), .skipped = skipped});
    EXPECT_EQ(p.version(), before + 1);
    EXPECT_EQ(skipped.version(), count + 1);
    EXPECT_EQ(values({p}), Values(3, 0.75));
  }
}

// ---- measures -------------------------------------------------------------------------------------------------------

List mixed_gradients(Device device) {
  manual_seed(11);
  List list;
  for (const DType type : {DType::float32, DType::bfloat16, DType::float16})
    for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{77}, int64_t{9001}})
      list.push_back((randn({n}) * (n == 77 ? 30 : 1)).to(type).to(device));
  return list;
}

TEST(MeasureGradients, AgreesWithALoopInFloat64) {
  for (const Device device : devices())
    for (const bool wide : {false, true}) {
      List list = mixed_gradients(device);
      if (wide) list.push_back(randn({5}, {DType::float64, device}));
      double squares = 0, largest = 0;
      for (const double x : values(list)) squares += x * x, largest = std::max(largest, std::abs(x));
      for (const bool infinity : {false, true})
        for (const double scale : {1.0, 1024.0})
          for (const double max_norm : {0.0, 0.01, 1e6}) {
            SCOPED_TRACE(device.str() + ", max_norm " + std::to_string(max_norm) + ", scale " + std::to_string(scale));
            const double norm = (infinity ? largest : std::sqrt(squares)) / scale;
            const double share = max_norm == 0 ? 1 : std::min(1.0, max_norm / (norm + 1e-6));
            const GradientMeasures found = measure_gradients(
                list, {infinity, max_norm, scale == 1 ? Tensor() : full({}, scale, {DType::float32, device})});
            EXPECT_EQ(found.norm.dtype(), wide ? DType::float64 : DType::float32);
            EXPECT_EQ(found.factor.dtype(), found.norm.dtype());
            EXPECT_NEAR(found.norm.item(), norm, 2e-6 * norm);
            EXPECT_NEAR(found.factor.item(), share / scale, 2e-6 * share / scale);
            EXPECT_EQ(found.non_finite.item(), 0);
          }
    }
}

TEST(MeasureGradients, FindsWhatIsNotFinite) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const Device device : devices())
    for (const DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16})
      for (const double bad : {inf, -inf, nan})
        for (const bool infinity : {false, true}) {
          Tensor gradient = ones({5000}, {type, Device::cpu()});
          gradient.index({4321}).fill_(bad);
          const GradientMeasures found =
              measure_gradients({ones({3}, {type, device}), gradient.to(device)}, {infinity, 1, {}});
          EXPECT_EQ(found.non_finite.item(), 1);
          EXPECT_EQ(std::isnan(found.norm.item()), std::isnan(bad));
          EXPECT_EQ(std::isinf(found.norm.item()), std::isinf(bad));
          EXPECT_EQ(std::isnan(found.factor.item()), std::isnan(bad));
          if (std::isinf(bad)) {
            EXPECT_EQ(found.factor.item(), 0);
          }
        }
}

TEST(MeasureGradients, OfEmptyTensorsIsZero) {
  for (const Device device : devices()) {
    const GradientMeasures found = measure_gradients({zeros({0}, {.device = device})}, {.max_norm = 1});
    EXPECT_EQ(found.norm.item(), 0);
    EXPECT_EQ(found.factor.item(), 1);
    EXPECT_EQ(found.non_finite.item(), 0);
  }
}

TEST(ScaleGradients, ScalesEachInItsType) {
  for (const Device device : devices())
    for (const DType type : {DType::float32, DType::float64}) {
      const List list = mixed_gradients(device);
      List expected;
      for (const Tensor& t : list) expected.push_back((t.to(DType::float32) * 0.3f).to(t.dtype()));
      const uint64_t version = list.back().version();
      scale_gradients_(list, full({}, 0.3f, {type, device}));
      EXPECT_EQ(values(list), values(expected));
      EXPECT_EQ(list.back().version(), version + 1);
      scale_gradients_(list, ones({}, {type, device}));
      EXPECT_EQ(values(list), values(expected));
    }
}

TEST(MeasureGradients, RefusesWhatDoesNotFit) {
  const Tensor g = zeros({2, 3});
  EXPECT_ERROR(measure_gradients({}), ArgumentError,
               "measure_gradients: there are no gradients, expected at least one");
  EXPECT_ERROR(measure_gradients({g, Tensor()}), ArgumentError, "measure_gradients: entry 1 of gradients is undefined");
  EXPECT_ERROR(measure_gradients({zeros({2}, {.dtype = DType::int64})}), DTypeError,
               "measure_gradients: gradient is int64, expected a floating type (gradient [2])");
  EXPECT_ERROR(
      measure_gradients({g.t()}), ArgumentError,
      "measure_gradients: entry 0 of gradients has gaps between its elements, expected it contiguous (shape [3, 2])");
  EXPECT_ERROR(measure_gradients({g}, {.max_norm = -1}), ArgumentError,
               "measure_gradients: max_norm is -1, expected a positive number, or 0 for none");
  EXPECT_ERROR(measure_gradients({g}, {.scale = zeros({1})}), DTypeError,
               "measure_gradients: scale is float32 [1], expected one number [] of float32");
  EXPECT_ERROR(scale_gradients_({g}, {}), ArgumentError, "scale_gradients_: factor is undefined, expected a tensor");
  EXPECT_ERROR(scale_gradients_({g}, zeros({}, {.dtype = DType::int64})), DTypeError,
               "scale_gradients_: factor is int64 [], expected one number [] of float32 or float64");
  EXPECT_ERROR(update_loss_scale_(g, g, g), DTypeError,
               "update_loss_scale_: scale is float32 [2, 3], expected one number [] of float32");
  const Tensor one = ones({});
  EXPECT_ERROR(update_loss_scale_(one, one, one), DTypeError,
               "update_loss_scale_: streak is float32 [], expected one number [] of int32");
  EXPECT_ERROR(update_loss_scale_(one, zeros({}, {.dtype = DType::int32}), one, {.interval = 0}), ArgumentError,
               "update_loss_scale_: interval is 0, expected 1 to 2147483647");
}

}  // namespace
}  // namespace dnn::test
