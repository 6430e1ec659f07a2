// Losses.
#include "dnn/ops/loss.h"

#include <gmock/gmock.h>

#include <cmath>

#include "dnn/ops/binary.h"
#include "dnn/ops/factory.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

const Reduction reductions[] = {Reduction::mean, Reduction::sum, Reduction::none, Reduction::batch_mean};

const char* text(Reduction reduction) {
  switch (reduction) {
    case Reduction::mean: return "mean";
    case Reduction::sum: return "sum";
    case Reduction::none: return "none";
    case Reduction::batch_mean: return "batch_mean";
  }
  return "";
}

// Losses of single samples or elements, reduced; `total` is what `mean` divides by.
Array reduced(const Array& losses, Reduction reduction, double total) {
  if (reduction == Reduction::none) return losses;
  Array result{Shape{}};
  for (double loss : losses.values) result[0] += loss;
  if (reduction == Reduction::mean) result[0] /= total;
  if (reduction == Reduction::batch_mean) result[0] /= static_cast<double>(losses.shape[0]);
  return result;
}
Array reduced(const Array& losses, Reduction reduction) {
  return reduced(losses, reduction, static_cast<double>(losses.size()));
}

// ---- classes --------------------------------------------------------------------------------------------------------

struct Classes {
  std::vector<double> weights = {};  // of the classes; none: all 1
  double smoothing = 0;
  int64_t ignored = -100;
  bool log_probabilities = false;
};

// Logits [n, classes] or [n, classes, m], labels of the other sizes.
Array class_losses(const Array& x, const Array& labels, const Classes& c, Reduction reduction) {
  const int64_t n = x.shape[0], classes = x.shape[1], m = x.shape.rank() > 2 ? x.shape[2] : 1;
  const auto weight = [&](int64_t k) { return c.weights.empty() ? 1.0 : c.weights[static_cast<size_t>(k)]; };
  Array losses(labels.shape);
  double total = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j) {
      const auto logit = [&](int64_t k) { return x[(i * classes + k) * m + j]; };
      const auto label = static_cast<int64_t>(labels[i * m + j]);
      if (label == c.ignored) continue;
      double sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(logit(k));
      const double log_sum = c.log_probabilities ? 0 : std::log(sum);
      double loss = (1 - c.smoothing) * weight(label) * (log_sum - logit(label));
      for (int64_t k = 0; k < classes; ++k)
        loss += c.smoothing / static_cast<double>(classes) * weight(k) * (log_sum - logit(k));
      losses[i * m + j] = loss;
      total += weight(label);
    }
  return reduced(losses, reduction, total);
}

Sample class_sample(const std::string& label, const Shape& logits, const Classes& c, DType type, Reduction reduction) {
  Shape labels{logits[0]};
  if (logits.rank() > 2) labels.push_back(logits[2]);
  const int64_t classes = logits[1];
  const std::optional<int64_t> ignored = c.ignored >= 0 ? std::optional(c.ignored) : std::nullopt;
  return {
      .label = logits.str() + " " + text(reduction) + " " + name_of(type) + " " + label,
      .inputs = {Input(logits, -4, 4), Input::integers(labels, 0, classes).typed(type)},
      .function =
          [=](const Args& x) {
            Tensor weight;
            if (!c.weights.empty())
              weight = from_values(c.weights, {classes}, x[0].device())
                           .to(x[0].dtype() == DType::float64 ? DType::float64 : DType::float32);
            if (c.log_probabilities)
              return nll_loss(x[0], x[1], {.weight = weight, .ignore_index = ignored, .reduction = reduction});
            return cross_entropy(
                x[0], x[1],
                {.weight = weight, .ignore_index = ignored, .reduction = reduction, .label_smoothing = c.smoothing});
          },
      .reference = [=](const std::vector<Array>& x) { return class_losses(x[0], x[1], c, reduction); }};
}

// Powers of two: they are what they are in every type.
std::vector<double> some_weights(int64_t classes) {
  std::vector<double> weights;
  for (int64_t k = 0; k < classes; ++k) weights.push_back(k % 3 == 0 ? 0.5 : k % 3 == 1 ? 2 : 1);
  return weights;
}

Row class_row(const std::string& name, bool log_probabilities) {
  Row row{.operation = name};
  for (const Reduction reduction : reductions) {
    for (const Shape& shape : {Shape{5, 10}, Shape{3, 131}, Shape{1, 1}, Shape{0, 4}, Shape{2, 3, 4}})
      for (const DType type : {DType::int64, DType::int32})
        row.sample(class_sample("", shape, {.log_probabilities = log_probabilities}, type, reduction));
    for (const Shape& shape : {Shape{7, 5}, Shape{2, 3, 4}, Shape{2, 600}}) {
      if (shape[1] > 5 && reduction != Reduction::mean) continue;
      const std::vector<double> weights = some_weights(shape[1]);
      const auto add = [&](const std::string& label, Classes c) {
        c.log_probabilities = log_probabilities;
        row.sample(class_sample(label, shape, c, DType::int64, reduction));
      };
      add("weight", {.weights = weights});
      add("ignore", {.ignored = 1});
      add("weight, ignore", {.weights = weights, .ignored = 2});
      if (log_probabilities) continue;
      add("smoothing", {.smoothing = 0.25});
      add("all", {.weights = weights, .smoothing = 0.25, .ignored = 0});
    }
  }
  return row.within(4, 8);
}

// Targets that are probabilities.
Sample expected_sample(const Shape& shape, double smoothing, bool weighted, Reduction reduction) {
  const int64_t n = shape[0], classes = shape[1], m = shape.rank() > 2 ? shape[2] : 1;
  const std::vector<double> weights = weighted ? some_weights(classes) : std::vector<double>{};
  return {.label = shape.str() + " probabilities " + text(reduction) + (weighted ? " weight" : ""),
          .inputs = {Input(shape, -4, 4), Input(shape, 0, 1)},
          .function =
              [=](const Args& x) {
                return cross_entropy(x[0], x[1],
                                     {.weight = weighted ? from_values(weights, {classes}, x[0].device()) : Tensor(),
                                      .reduction = reduction,
                                      .label_smoothing = smoothing});
              },
          .reference =
              [=](const std::vector<Array>& x) {
                Array losses(shape.rank() > 2 ? Shape{n, m} : Shape{n});
                for (int64_t i = 0; i < n * m; ++i) {
                  const auto at = [&](int64_t k) { return (i / m * classes + k) * m + i % m; };
                  double sum = 0;
                  for (int64_t k = 0; k < classes; ++k) sum += std::exp(x[0][at(k)]);
                  for (int64_t k = 0; k < classes; ++k) {
                    const double share = (1 - smoothing) * x[1][at(k)] + smoothing / static_cast<double>(classes);
                    losses[i] +=
                        share * (weighted ? weights[static_cast<size_t>(k)] : 1) * (std::log(sum) - x[0][at(k)]);
                  }
                }
                return reduced(losses, reduction);
              }};
}

Row cross_entropy_row() {
  Row row = class_row("cross_entropy", false);
  for (const Reduction reduction : reductions)
    for (const bool weighted : {false, true})
      for (const Shape& shape : {Shape{4, 5}, Shape{2, 3, 4}})
        row.sample(expected_sample(shape, 0.125, weighted, reduction));
  return row.within(6, 12);
}

// The loss alone, as any other operation's; what comes with it is tested below.
Row classification_row() {
  Row row{.operation = "classification_loss"};
  for (const Shape& shape : {Shape{5, 10}, Shape{3, 131}, Shape{1, 1}, Shape{0, 4}, Shape{2, 600}, Shape{150, 3}})
    for (const double smoothing : {0.0, 0.25}) {
      Sample sample = class_sample("", shape, {.smoothing = smoothing}, DType::int64, Reduction::mean);
      sample.function = [=](const Args& x) { return classification_loss(x[0], x[1], smoothing).loss; };
      row.sample(sample);
    }
  return row.within(6, 12);
}

// ---- numbers --------------------------------------------------------------------------------------------------------

using PairLoss = std::function<Tensor(const Tensor&, const Tensor&, Reduction)>;

Row pair_row(const std::string& name,
             const std::vector<std::pair<PairLoss, std::function<double(double, double)>>>& forms, double low = -2,
             double high = 2) {
  Row row{.operation = name};
  for (size_t form = 0; form < forms.size(); ++form)
    for (const Reduction reduction : reductions)
      for (const Shape& shape : {Shape{4, 3}, Shape{131}, Shape{}, Shape{1}, Shape{0, 3}, Shape{2, 16, 2, 3}}) {
        if (shape.rank() == 0 && reduction == Reduction::batch_mean) continue;
        row.sample({.label = shape.str() + " " + text(reduction) + " form " + std::to_string(form),
                    .inputs = {Input(shape, -3, 3), Input(shape, low, high)},
                    .function = [=, f = forms[form].first](const Args& x) { return f(x[0], x[1], reduction); },
                    .reference = [=, f = forms[form].second](
                                     const std::vector<Array>& x) { return reduced(map(x[0], x[1], f), reduction); }});
      }
  return row.within(16, 32);
}

double huber(double d, double delta) { return std::abs(d) < delta ? d * d / 2 : delta * (std::abs(d) - delta / 2); }

double bce(double x, double t, double positive = 1) {
  const double s = 1 / (1 + std::exp(-x));
  return -positive * t * std::log(s) - (1 - t) * std::log(1 - s);
}

Row quadratic_row() {
  Row row{.operation = "quadratic_cost"};
  for (const Shape& shape : {Shape{4, 3}, Shape{1}, Shape{0, 3}, Shape{2, 16, 2, 3}})
    row.sample({.label = shape.str(),
                .inputs = {Input(shape), Input(shape)},
                .function = [](const Args& x) { return quadratic_cost(x[0], x[1]); },
                .reference =
                    [](const std::vector<Array>& x) {
                      return reduced(map(x[0], x[1], [](double a, double y) { return (a - y) * (a - y) / 2; }),
                                     Reduction::batch_mean);
                    }});
  return row.within(4, 8);
}

const Rows rows{
    cross_entropy_row(),
    class_row("nll_loss", true),
    classification_row(),
    pair_row("mse_loss",
             {{[](const Tensor& a, const Tensor& b, Reduction r) { return mse_loss(a, b, {.reduction = r}); },
               [](double a, double b) { return (a - b) * (a - b); }}}),
    pair_row("l1_loss", {{[](const Tensor& a, const Tensor& b, Reduction r) { return l1_loss(a, b, {.reduction = r}); },
                          [](double a, double b) { return std::abs(a - b); }}}),
    pair_row("smooth_l1_loss",
             {{[](const Tensor& a, const Tensor& b, Reduction r) { return smooth_l1_loss(a, b, {.reduction = r}); },
               [](double a, double b) { return huber(a - b, 1); }},
              {[](const Tensor& a, const Tensor& b, Reduction r) {
                 return smooth_l1_loss(a, b, {.reduction = r, .beta = 0.5});
               },
               [](double a, double b) { return huber(a - b, 0.5) / 0.5; }},
              {[](const Tensor& a, const Tensor& b, Reduction r) {
                 return smooth_l1_loss(a, b, {.reduction = r, .beta = 0});
               },
               [](double a, double b) { return std::abs(a - b); }}}),
    pair_row(
        "huber_loss",
        {{[](const Tensor& a, const Tensor& b, Reduction r) { return huber_loss(a, b, {.reduction = r}); },
          [](double a, double b) { return huber(a - b, 1); }},
         {[](const Tensor& a, const Tensor& b, Reduction r) { return huber_loss(a, b, {.reduction = r, .delta = 2}); },
          [](double a, double b) { return huber(a - b, 2); }}}),
    pair_row("bce_with_logits",
             {{[](const Tensor& a, const Tensor& b, Reduction r) { return bce_with_logits(a, b, {.reduction = r}); },
               [](double x, double t) { return bce(x, t); }},
              {[](const Tensor& a, const Tensor& b, Reduction r) {
                 const Tensor two = full({}, 2, a.options());
                 return bce_with_logits(a, b, {.weight = two, .pos_weight = two, .reduction = r});
               },
               [](double x, double t) { return 2 * bce(x, t, 2); }}},
             0, 1),
    pair_row("kl_div",
             {{[](const Tensor& a, const Tensor& b, Reduction r) { return kl_div(a, b, {.reduction = r}); },
               [](double a, double b) { return b * (std::log(b) - a); }},
              {[](const Tensor& a, const Tensor& b, Reduction r) {
                 return kl_div(a, b, {.reduction = r, .log_target = true});
               },
               [](double a, double b) { return std::exp(b) * (b - a); }}},
             0.1, 1),
    quadratic_row(),
};

// Logarithms of probabilities are below 0, but whoever has others gets no NaN.
TEST(NllLoss, HasAGradientWhateverItsInput) {
  for (const Device device : table_devices()) {
    if (device_count(device.type()) == 0) continue;
    for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
      const Tensor x = tensor({100, -1, 800, 2}, {2, 2}).to(device).set_requires_grad();
      const Tensor labels = from_values<int64_t>({1, 0}, {2}).to(device);
      nll_loss(x, labels, {.reduction = reduction}).sum().backward(full({}, 2).to(device));
      const float g = reduction == Reduction::mean ? -1 : -2;
      EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0, g, g, 0})) << device.str();
    }
  }
}

// ---- what comes with the loss of classes ----------------------------------------------------------------------------

TEST(ClassificationLoss, CountsLossesAndHits) {
  const double nan = NAN;
  for (const Device device : table_devices()) {
    if (device_count(device.type()) == 0) continue;
    for (const DType type : {DType::float64, DType::float32, DType::bfloat16}) {
      const Tensor logits =
          from_values<double>({1, 2, 0, /**/ 3, 3, 0, /**/ 3, 3, 0, /**/ 0, nan, 1, /**/ nan, 0, nan, /**/ -1, -2, -3},
                              {6, 3})
              .to(type)
              .to(device);
      const Tensor labels = from_values<int64_t>({1, 0, 1, 1, 2, 0}, {6}).to(device);
      const Tensor sums = classification_loss(logits, labels).sums;  // right: 0, 1 (the first of equals), 3 (NaN), 5
      EXPECT_EQ(sums.dtype(), DType::float64);
      EXPECT_EQ(sums[1].item(), 4) << device.str() << " " << name_of(type);
      EXPECT_TRUE(std::isnan(sums[0].item()));
      const Tensor rows = logits.slice(0, 0, 3);
      const ClassificationLoss three = classification_loss(rows, labels.slice(0, 0, 3), 0.1);
      EXPECT_NEAR(three.sums[0].item(), 3 * three.loss.item(), type == DType::bfloat16 ? 0.05 : 1e-5);
      EXPECT_FALSE(three.sums.requires_grad());
    }
  }
}

// A pass that begins at the loss takes the gradient that came with it, any other one computes it.
TEST(ClassificationLoss, BothWaysBackGiveTheSame) {
  for (const Device device : table_devices()) {
    if (device_count(device.type()) == 0) continue;
    manual_seed(3);
    const Tensor values = rand({70, 12}).to(device), labels = zeros({70}, {.dtype = DType::int64}).to(device);
    const auto gradients = [&](double factor, bool hooked) {
      Tensor x = values.clone();
      x.set_requires_grad(true);
      const Tensor y = x * 2, loss = classification_loss(y, labels, 0.1).loss;
      if (hooked) loss.register_hook([](const Tensor& gradient) { EXPECT_EQ(gradient.item(), 1); });
      if (factor == 1)
        loss.backward({.retain_graph = true}), loss.backward();
      else
        (loss * factor).backward();
      return x.grad().to(Device::cpu()).to_vector<float>();
    };
    const auto twice = gradients(1, false);
    EXPECT_THAT(gradients(1, true), testing::Pointwise(testing::FloatNear(1e-7f), twice));
    EXPECT_THAT(gradients(2, false), testing::Pointwise(testing::FloatNear(1e-7f), twice));
  }
}

// A hook may change the gradient that it is shown; the next pass begins with the right one all the same.
TEST(ClassificationLoss, WhatAHookChangesIsForgottenByTheNextPass) {
  for (const Device device : table_devices()) {
    if (device_count(device.type()) == 0) continue;
    Tensor x = rand({3, 4}).to(device).set_requires_grad();
    const Tensor y = x * 1, loss = classification_loss(y, zeros({3}, {.dtype = DType::int64}).to(device)).loss;
    const auto pass = [&] {
      x.zero_grad();
      loss.backward({.retain_graph = true});
      return x.grad().to(Device::cpu()).to_vector<float>();
    };
    const auto once = pass();
    y.register_hook([](const Tensor& gradient) { Tensor(gradient).mul_(2); });
    const auto doubled = pass();
    EXPECT_NEAR(doubled[0], 2 * once[0], 1e-6);
    EXPECT_THAT(pass(), testing::Pointwise(testing::FloatNear(1e-6f), doubled));
  }
}

TEST(ClassificationLoss, ALeafGetsItsOwnGradient) {
  Tensor x = zeros({2, 4}, {.requires_grad = true});
  const Tensor labels = zeros({2}, {.dtype = DType::int64});
  const Tensor loss = classification_loss(x, labels).loss;
  loss.backward({.retain_graph = true});
  x.grad().fill_(7);
  loss.backward();
  EXPECT_EQ(x.grad().to_vector<float>()[0], 7 - 0.375f);
}

}  // namespace
}  // namespace dnn::test
