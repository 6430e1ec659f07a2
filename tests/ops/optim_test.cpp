// The update rules of the optimizers: one call over several tensors, parameters and states after it.
#include "dnn/ops/optim.h"

#include <cmath>

#include "dnn/autograd.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/shape.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

const std::vector<Shape> shapes{{3, 5}, {131}, {}, {0}, {1}};

// The inputs are lists one after another: list k begins at tensor k * shapes.size().
std::vector<Tensor> copies(const Args& x, size_t list) {
  std::vector<Tensor> all;
  for (size_t i = 0; i < shapes.size(); ++i) all.push_back(x[list * shapes.size() + i].clone());
  return all;
}

// Everything that changed, in one row.
Tensor joined(const std::vector<std::vector<Tensor>>& lists) {
  std::vector<Tensor> flat;
  for (const auto& list : lists)
    for (const Tensor& t : list) flat.push_back(t.reshape({-1}));
  return cat(flat);
}

Array joined(const std::vector<Array>& arrays) {
  std::vector<double> values;
  for (const Array& array : arrays) values.insert(values.end(), array.values.begin(), array.values.end());
  return {Shape{static_cast<int64_t>(values.size())}, values};
}

std::vector<Input> lists(int count, bool last_positive) {
  std::vector<Input> inputs;
  for (int list = 0; list < count; ++list)
    for (const Shape& shape : shapes)
      inputs.push_back(Input(shape, last_positive && list == count - 1 ? 0.1 : -2, 2).parameter().constant());
  return inputs;
}

Sample sgd(const std::string& label, const SgdUpdate& o) {
  const bool keeps_velocity = o.momentum != 0;
  return {.label = label,
          .inputs = lists(3, false),
          .function =
              [=](const Args& x) {
                const auto parameters = copies(x, 0), gradients = copies(x, 1);
                auto velocities = keeps_velocity ? copies(x, 2) : std::vector<Tensor>{};
                if (o.step == 1)
                  for (Tensor& v : velocities) v = empty_like(v);
                sgd_update_(parameters, gradients, velocities, o);
                return joined({parameters, velocities});
              },
          .reference =
              [=](const std::vector<Array>& x) {
                std::vector<Array> parameters, velocities;
                for (size_t i = 0; i < shapes.size(); ++i) {
                  Array p = x[i], g = x[shapes.size() + i], v = x[2 * shapes.size() + i];
                  for (int64_t k = 0; k < p.size(); ++k) {
                    const double d = g[k] + o.weight_decay * p[k];
                    v[k] = o.step == 1 ? d : o.momentum * v[k] + (1 - o.dampening) * d;
                    const double step = !keeps_velocity ? d : o.nesterov ? d + o.momentum * v[k] : v[k];
                    p[k] -= o.lr * step;
                  }
                  parameters.push_back(p), velocities.push_back(v);
                }
                if (keeps_velocity) parameters.insert(parameters.end(), velocities.begin(), velocities.end());
                return joined(parameters);
              }};
}

Sample adam(const std::string& label, const AdamUpdate& o) {
  return {.label = label,
          .inputs = lists(4, true),
          .function =
              [=](const Args& x) {
                const auto parameters = copies(x, 0), gradients = copies(x, 1), means = copies(x, 2),
                           squares = copies(x, 3);
                adam_update_(parameters, gradients, means, squares, o);
                return joined({parameters, means, squares});
              },
          .reference =
              [=](const std::vector<Array>& x) {
                std::vector<Array> parameters, means, squares;
                for (size_t i = 0; i < shapes.size(); ++i) {
                  const size_t n = shapes.size();
                  Array p = x[i], g = x[n + i], m = x[2 * n + i], s = x[3 * n + i];
                  for (int64_t k = 0; k < p.size(); ++k) {
                    double d = g[k];
                    if (o.decoupled_decay)
                      p[k] *= 1 - o.lr * o.weight_decay;
                    else
                      d += o.weight_decay * p[k];
                    m[k] = o.beta1 * m[k] + (1 - o.beta1) * d;
                    s[k] = o.beta2 * s[k] + (1 - o.beta2) * d * d;
                    const auto step = static_cast<double>(o.step);
                    const double mean = m[k] / (1 - std::pow(o.beta1, step)),
                                 square = s[k] / (1 - std::pow(o.beta2, step));
                    p[k] -= o.lr * mean / (std::sqrt(square) + o.eps);
                  }
                  parameters.push_back(p), means.push_back(m), squares.push_back(s);
                }
                parameters.insert(parameters.end(), means.begin(), means.end());
                parameters.insert(parameters.end(), squares.begin(), squares.end());
                return joined(parameters);
              }};
}

Sample rmsprop(const std::string& label, const RmspropUpdate& o) {
  return {.label = label,
          .inputs = lists(5, true),
          .function =
              [=](const Args& x) {
                // The squares come last: they are positive, and large enough for the square of any mean.
                const auto parameters = copies(x, 0), gradients = copies(x, 1), means = copies(x, 2),
                           velocities = copies(x, 3), squares = copies(x, 4);
                for (const Tensor& s : squares) Tensor(s).add_(4);
                rmsprop_update_(parameters, gradients, squares, means, velocities, o);
                return joined({parameters, squares, means, velocities});
              },
          .reference =
              [=](const std::vector<Array>& x) {
                const size_t n = shapes.size();
                std::vector<Array> parameters, squares, means, velocities;
                for (size_t i = 0; i < n; ++i) {
                  Array p = x[i], g = x[n + i], m = x[2 * n + i], v = x[3 * n + i], s = x[4 * n + i];
                  for (int64_t k = 0; k < p.size(); ++k) {
                    const double d = g[k] + o.weight_decay * p[k];
                    s[k] = o.alpha * (s[k] + 4) + (1 - o.alpha) * d * d;
                    if (o.centered) m[k] = o.alpha * m[k] + (1 - o.alpha) * d;
                    double step = d / (std::sqrt(s[k] - (o.centered ? m[k] * m[k] : 0)) + o.eps);
                    if (o.momentum != 0) step = v[k] = o.momentum * v[k] + step;
                    p[k] -= o.lr * step;
                  }
                  parameters.push_back(p), squares.push_back(s), means.push_back(m), velocities.push_back(v);
                }
                for (const auto& list : {squares, means, velocities})
                  parameters.insert(parameters.end(), list.begin(), list.end());
                return joined(parameters);
              }};
}

Sample adagrad(const std::string& label, const AdagradUpdate& o) {
  return {.label = label,
          .inputs = lists(3, true),
          .function =
              [=](const Args& x) {
                const auto parameters = copies(x, 0), gradients = copies(x, 1), sums = copies(x, 2);
                adagrad_update_(parameters, gradients, sums, o);
                return joined({parameters, sums});
              },
          .reference =
              [=](const std::vector<Array>& x) {
                const size_t n = shapes.size();
                std::vector<Array> parameters, sums;
                for (size_t i = 0; i < n; ++i) {
                  Array p = x[i], g = x[n + i], s = x[2 * n + i];
                  for (int64_t k = 0; k < p.size(); ++k) {
                    const double d = g[k] + o.weight_decay * p[k];
                    s[k] += o.initial_sum + d * d;
                    p[k] -= o.lr * d / (std::sqrt(s[k]) + o.eps);
                  }
                  parameters.push_back(p), sums.push_back(s);
                }
                parameters.insert(parameters.end(), sums.begin(), sums.end());
                return joined(parameters);
              }};
}

Row sgd_row() {
  Row row{.operation = "sgd_update_"};
  row.sample(sgd("plain", {.lr = 0.1}))
      .sample(sgd("weight decay", {.lr = 0.1, .weight_decay = 0.5}))
      .sample(sgd("momentum", {.lr = 0.1, .momentum = 0.9}))
      .sample(sgd("momentum, first step", {.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .step = 1}))
      .sample(sgd("momentum, dampening, decay", {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01}))
      .sample(sgd("Nesterov", {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}))
      .sample(sgd("Nesterov, first step", {.lr = 0.1, .momentum = 0.9, .nesterov = true, .step = 1}));
  return row.no_gradient().without("strided", "parameters, gradients and states are contiguous");
}

Row adam_row() {
  Row row{.operation = "adam_update_"};
  row.sample(adam("first step", {.lr = 0.1}))
      .sample(adam("tenth step", {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-3, .step = 10}))
      .sample(adam("weight decay", {.lr = 0.1, .weight_decay = 0.1, .step = 3}))
      .sample(adam("decoupled weight decay", {.lr = 0.1, .weight_decay = 0.1, .decoupled_decay = true, .step = 3}));
  return row.no_gradient().without("strided", "parameters, gradients and states are contiguous").within(4, 4);
}

Row rmsprop_row() {
  Row row{.operation = "rmsprop_update_"};
  row.sample(rmsprop("plain", {.lr = 0.1}))
      .sample(rmsprop("weight decay", {.lr = 0.1, .alpha = 0.5, .eps = 1e-3, .weight_decay = 0.1}))
      .sample(rmsprop("momentum", {.lr = 0.1, .momentum = 0.9}))
      .sample(rmsprop("centered", {.lr = 0.1, .alpha = 0.5, .centered = true}))
      .sample(rmsprop("centered, momentum", {.lr = 0.1, .alpha = 0.5, .momentum = 0.5, .centered = true}));
  return row.no_gradient().without("strided", "parameters, gradients and states are contiguous").within(4, 4);
}

Row adagrad_row() {
  Row row{.operation = "adagrad_update_"};
  row.sample(adagrad("plain", {.lr = 0.1}))
      .sample(adagrad("first step", {.lr = 0.1, .eps = 1e-3, .weight_decay = 0.1, .initial_sum = 0.5}));
  return row.no_gradient().without("strided", "parameters, gradients and states are contiguous").within(4, 4);
}

Row scale_row() {
  std::vector<Input> inputs = lists(1, false);
  inputs.push_back(Input(Shape{}, 0.1, 2).typed(DType::float32).constant());
  Row row{.operation = "scale_gradients_"};
  row.sample({.label = "any factor",
              .inputs = inputs,
              .function =
                  [](const Args& x) {
                    const auto gradients = copies(x, 0);
                    scale_gradients_(gradients, x[shapes.size()]);
                    return joined({gradients});
                  },
              .reference =
                  [](const std::vector<Array>& x) {
                    std::vector<Array> gradients(x.begin(), x.end() - 1);
                    for (Array& gradient : gradients)
                      for (double& value : gradient.values) value *= x.back()[0];
                    return joined(gradients);
                  }});
  return row.no_gradient().without("strided", "gradients are contiguous");
}

// The next scale and streak.
Sample loss_scale(const std::string& label, double scale, double streak, double non_finite, double next,
                  double next_streak) {
  const auto number = [](double value, DType type) { return Input::of({}, {value}).typed(type).constant(); };
  return {.label = label,
          .inputs = {number(scale, DType::float32), number(streak, DType::int32), number(non_finite, DType::float32)},
          .function =
              [](const Args& x) {
                const Tensor scale = x[0].clone(), streak = x[1].clone();
                update_loss_scale_(scale, streak, x[2], {.growth = 4, .backoff = 0.25, .interval = 3});
                return cat({scale.reshape({1}), streak.to(DType::float32).reshape({1})});
              },
          .reference =
              [=](const std::vector<Array>&) {
                return Array{Shape{2}, {next, next_streak}};
              }};
}

Row loss_scale_row() {
  Row row{.operation = "update_loss_scale_"};
  row.sample(loss_scale("counts", 1024, 1, 0, 1024, 2))
      .sample(loss_scale("grows", 1024, 2, 0, 4096, 0))
      .sample(loss_scale("would overflow", 0x1p126, 2, 0, 0x1p126, 0))
      .sample(loss_scale("backs off", 1024, 2, 1, 256, 0));
  row.floating = {};
  return row.no_gradient()
      .result([](DType) { return DType::float32; })
      .never_empty("all are single numbers")
      .without("strided", "all are single numbers");
}

const Rows rows{sgd_row(), adam_row(), rmsprop_row(), adagrad_row(), scale_row(), loss_scale_row()};

}  // namespace
}  // namespace dnn::test
