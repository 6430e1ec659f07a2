// Losses. Cross-entropy and nll_loss have kernels that compute a row in one go; the others are compositions.
#include "dnn/ops/loss.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/loss.h"
#include "core/ops/elementwise.h"
#include "core/ops/fusion.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/softmax.h"
#include "dnn/ops/unary.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using detail::widened;
using kernel::CrossEntropyRule;

namespace {

Tensor reduced(const char* where, const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::none: return losses;
    case Reduction::mean: return mean(losses);
    case Reduction::sum: return sum(losses);
    case Reduction::batch_mean: break;
  }
  if (losses.rank() == 0)
    throw ShapeError(fmt::format("{}: the mean over samples of a single number, expected a first dimension", where));
  return sum(losses) / static_cast<double>(losses.size(0));
}

// ---- classes --------------------------------------------------------------------------------------------------------

// [n, classes, ...] as rows of classes.
Tensor class_rows(const Tensor& x) { return x.rank() == 2 ? x : x.flatten(2).transpose(1, 2).reshape({-1, x.size(1)}); }

void check_labels(const char* where, const char* name, const Tensor& x, const Tensor& labels) {
  bool fits = x.rank() >= 2 && labels.rank() == x.rank() - 1;
  for (int d = 0; fits && d < labels.rank(); ++d) fits = labels.shape()[d] == x.shape()[d == 0 ? 0 : d + 1];
  if (!fits)
    throw ShapeError(fmt::format("{}: expected {} [n, classes, ...] and labels [n, ...] ({} {}, labels {})", where,
                                 name, name, x.shape(), labels.shape()));
  if (labels.dtype() != DType::int64 && labels.dtype() != DType::int32)
    throw DTypeError(
        fmt::format("{}: labels are {}, expected int64 or int32 (labels {})", where, labels.dtype(), labels.shape()));
  if (x.size(1) == 0)
    throw ShapeError(
        fmt::format("{}: {} have no classes, expected at least one ({} {})", where, name, name, x.shape()));
}

void check_smoothing(const char* where, double smoothing) {
  if (!(0 <= smoothing && smoothing <= 1))
    throw ArgumentError(fmt::format("{}: label_smoothing is {}, expected 0 to 1", where, smoothing));
}

// The weights of the classes in the type that the kernels use, undefined when there are none.
Tensor class_weights(const char* where, const Tensor& weight, const Tensor& x) {
  if (!weight.defined()) return {};
  detail::check_floating(where, "weight", weight);
  if (weight.rank() != 1 || weight.size(0) != x.size(1))
    throw ShapeError(fmt::format("{}: weight is {}, expected [{}], one number for each class (input {})", where,
                                 weight.shape(), x.size(1), x.shape()));
  return detail::plain(weight.detach().to(x.dtype() == DType::float64 ? DType::float64 : DType::float32));
}

// The losses of labelled rows [n, classes] with scale * their sum as the result, in one pass; `sums` as the kernel has
// it, undefined: not wanted. With the loss comes its gradient, for the usual backward pass that begins at it, unless
// somebody has changed it since; any other pass computes it anew with its factor, which narrow types may need to
// represent it.
Tensor labelled_total(const char* where, const Tensor& input, const Tensor& labels, const CrossEntropyRule& rule,
                      double scale, const Tensor& sums) {
  const Device device = input.device();
  const Tensor x = detail::plain(input), targets = detail::plain(labels);
  const DType wide = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  kernel::CrossEntropyTotals totals{.loss = detail::allocate({}, x.dtype(), device), .sums = sums};
  if (detail::needs_grad({&input, 1})) {
    totals.gradient = detail::allocate(x.shape(), x.dtype(), device);
    totals.log_sums = detail::allocate({x.size(0), 2}, wide, device);
  }
  kernel::cross_entropy_reduced[device](x, targets, rule, scale, totals);
  const Tensor &out = totals.loss, &log_sums = totals.log_sums;
  const uint64_t version = totals.gradient.defined() ? totals.gradient.version() : 0;
  detail::record(where, out, {input},
                 [=, gradient = totals.gradient, x = Saved(x), targets = Saved(targets)](Backward& b) mutable {
                   const Tensor logits = b.get(x);
                   if (b.is_one() && gradient.defined() && gradient.version() == version) return b.set(0, gradient);
                   gradient = {};
                   const Tensor grad = b.is_one() ? ones({1}, logits.options()) : b.grad().reshape({-1});
                   const auto [out, accumulate] = b.into(0);
                   kernel::cross_entropy_backward[out.device()](grad, scale, logits, b.get(targets), rule, log_sums,
                                                                out, accumulate);
                 });
  detail::ask_for_one(out);
  return out;
}

// The losses of labelled rows, reduced: x [n, classes], labels [n].
Tensor labelled(const char* where, const Tensor& input, const Tensor& labels, const CrossEntropyRule& rule,
                Reduction reduction) {
  const bool by_weight = reduction == Reduction::mean && (rule.weights.defined() || rule.ignored != rule.nothing);
  if (reduction != Reduction::none && !by_weight) {
    const double scale = reduction == Reduction::sum ? 1.0 : 1.0 / static_cast<double>(input.size(0));
    return labelled_total(where, input, labels, rule, scale, {});
  }
  const int64_t n = input.size(0);
  const Device device = input.device();
  const Tensor x = detail::plain(input);
  const Tensor targets = detail::plain(labels);
  const DType wide = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  Tensor losses = detail::allocate({n}, x.dtype(), device);
  Tensor log_sums = detail::allocate({n, 2}, wide, device);
  const Tensor row_weights = by_weight ? detail::allocate({n}, wide, device) : Tensor();
  kernel::cross_entropy_forward[device](x, targets, rule, losses, row_weights, log_sums);

  Tensor out, total;
  {
    NoGrad no_grad;
    if (by_weight) total = sum(row_weights).to(x.dtype());
    out = by_weight ? sum(losses) / total : losses;
  }
  detail::record(where, out, {input}, [=, x = Saved(x), targets = Saved(targets)](Backward& b) {
    const auto [out, accumulate] = b.into(0);
    const Tensor grad = detail::plain(total.defined() ? b.grad() / total : b.grad()).reshape({-1});
    kernel::cross_entropy_backward[out.device()](grad, 1.0, b.get(x), b.get(targets), rule, log_sums, out, accumulate);
  });
  return out;
}

// The same for inputs of more or fewer dimensions.
Tensor labelled_of_any_rank(const char* where, const char* name, const Tensor& input, const Tensor& labels,
                            const Tensor& weight, const std::optional<int64_t>& ignore_index, Reduction reduction,
                            CrossEntropyRule rule) {
  const bool single = input.rank() == 1 && labels.rank() == 0;
  const Tensor x = widened(single ? input.unsqueeze(0) : input);
  check_labels(where, name, x, single ? labels.unsqueeze(0) : labels);
  rule.weights = class_weights(where, weight, x);
  if (ignore_index) rule.ignored = *ignore_index;
  if (reduction == Reduction::batch_mean && x.rank() > 2) {
    const double samples = static_cast<double>(x.size(0));
    return labelled(where, class_rows(x), labels.reshape({-1}), rule, Reduction::sum) / samples;
  }
  const Tensor out = labelled(where, class_rows(x), labels.reshape({-1}), rule, reduction);
  return reduction == Reduction::none ? out.reshape(labels.shape()) : out;
}

// Cross-entropy with probabilities as targets.
Tensor expected_cross_entropy(const Tensor& input, const Tensor& target, const CrossEntropyOptions& options) {
  const Tensor logits = widened(input);
  if (logits.shape() != target.shape() || logits.rank() == 0)
    throw ShapeError(
        fmt::format("cross_entropy: targets that are probabilities have the logits' shape (logits {}, targets {})",
                    logits.shape(), target.shape()));
  if (options.ignore_index)
    throw ArgumentError(
        fmt::format("cross_entropy: ignore_index is {}, expected none for targets that are probabilities (targets {})",
                    *options.ignore_index, target.shape()));
  const int64_t dim = logits.rank() == 1 ? 0 : 1, classes = logits.size(dim);
  const double smoothing = options.label_smoothing;
  Tensor share = smoothing == 0 ? target : target * (1 - smoothing) + smoothing / static_cast<double>(classes);
  if (options.weight.defined()) {
    const Tensor all = logits.rank() == 1 ? logits.unsqueeze(0) : logits;
    Shape sizes = logits.shape();
    for (int d = 0; d < logits.rank(); ++d) sizes[d] = d == dim ? classes : 1;
    share = share * class_weights("cross_entropy", options.weight, all).to(logits.dtype()).reshape(sizes);
  }
  const Tensor losses = -sum(share * log_softmax(logits, dim), {.dims = {dim}});
  return losses.rank() == 0 ? losses : reduced("cross_entropy", losses, options.reduction);
}

void check_pair(const char* where, const Tensor& input, const Tensor& target) {
  detail::check_defined(where, {{"input", &input}, {"target", &target}});
  detail::check_same_device(where, {{"input", &input}, {"target", &target}});
  detail::check_floating(where, "input", input);
  if (input.shape() != target.shape())
    throw ShapeError(
        fmt::format("{}: input {} and target {} differ, expected one shape", where, input.shape(), target.shape()));
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  detail::check_defined("cross_entropy", {{"logits", &logits}, {"labels", &labels}});
  detail::check_same_device("cross_entropy", {{"logits", &logits}, {"labels", &labels}, {"weight", &options.weight}});
  detail::check_floating("cross_entropy", "logits", logits);
  check_smoothing("cross_entropy", options.label_smoothing);
  if (is_floating(labels.dtype())) return expected_cross_entropy(logits, labels, options);
  return labelled_of_any_rank("cross_entropy", "logits", logits, labels, options.weight, options.ignore_index,
                              options.reduction, {.smoothing = options.label_smoothing});
}

ClassificationLoss classification_loss(const Tensor& logits, const Tensor& labels, double label_smoothing) {
  const char* const where = "classification_loss";
  detail::check_defined(where, {{"logits", &logits}, {"labels", &labels}});
  detail::check_same_device(where, {{"logits", &logits}, {"labels", &labels}});
  detail::check_floating(where, "logits", logits);
  detail::check_rank(where, "logits", logits, 2);
  check_smoothing(where, label_smoothing);
  check_labels(where, "logits", logits, labels);
  const Tensor sums = detail::allocate({2}, DType::float64, logits.device());
  const double scale = 1.0 / static_cast<double>(logits.size(0));
  return {labelled_total(where, widened(logits), labels, {.smoothing = label_smoothing}, scale, sums), sums};
}

Tensor nll_loss(const Tensor& input, const Tensor& labels, const NllLossOptions& options) {
  detail::check_defined("nll_loss", {{"input", &input}, {"labels", &labels}});
  detail::check_same_device("nll_loss", {{"input", &input}, {"labels", &labels}, {"weight", &options.weight}});
  detail::check_floating("nll_loss", "input", input);
  return labelled_of_any_rank("nll_loss", "input", input, labels, options.weight, options.ignore_index,
                              options.reduction, {.log_probabilities = true});
}

// ---- numbers --------------------------------------------------------------------------------------------------------

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  check_pair("mse_loss", input, target);
  return reduced("mse_loss", square(widened(input) - widened(target)), options.reduction);
}

Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  check_pair("l1_loss", input, target);
  return reduced("l1_loss", abs(widened(input) - widened(target)), options.reduction);
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1LossOptions& options) {
  check_pair("smooth_l1_loss", input, target);
  if (!(options.beta >= 0))
    throw ArgumentError(fmt::format("smooth_l1_loss: beta is {}, expected at least 0", options.beta));
  const Tensor difference = widened(input) - widened(target);
  if (options.beta == 0) return reduced("smooth_l1_loss", abs(difference), options.reduction);
  return reduced("smooth_l1_loss", detail::unary(functor::HuberLoss{.delta = options.beta}, difference),
                 options.reduction);
}

Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options) {
  check_pair("huber_loss", input, target);
  if (!(options.delta > 0))
    throw ArgumentError(fmt::format("huber_loss: delta is {}, expected a positive number", options.delta));
  const functor::HuberLoss huber{.delta = options.delta, .slope = options.delta};
  return reduced("huber_loss", detail::unary(huber, widened(input) - widened(target)), options.reduction);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& labels, const BceOptions& options) {
  check_pair("bce_with_logits", logits, labels);
  const Tensor input = widened(logits), target = widened(labels);
  Tensor losses;
  if (options.pos_weight.defined()) {
    // -log s(x) is the loss of a target of 1.
    const Tensor log_part = detail::binary(functor::BceWithLogits{}, input, ones({}, input.options()));
    losses = (1 - target) * input + ((options.pos_weight - 1) * target + 1) * log_part;
  } else {
    losses = detail::binary(functor::BceWithLogits{}, input, target);
  }
  if (options.weight.defined()) losses = losses * options.weight;
  if (losses.shape() != input.shape())
    throw ShapeError(
        fmt::format("bce_with_logits: the weights enlarge the result to {}, expected weights that "
                    "broadcast to the input {}",
                    losses.shape(), input.shape()));
  return reduced("bce_with_logits", losses, options.reduction);
}

Tensor kl_div(const Tensor& logarithms, const Tensor& probabilities, const KlDivOptions& options) {
  check_pair("kl_div", logarithms, probabilities);
  const Tensor input = widened(logarithms), target = widened(probabilities);
  return reduced(
      "kl_div",
      options.log_target ? exp(target) * (target - input) : detail::binary(functor::KlDivergence{}, input, target),
      options.reduction);
}

Tensor quadratic_cost(const Tensor& output, const Tensor& target) {
  check_pair("quadratic_cost", output, target);
  if (output.rank() == 0)
    throw ShapeError("quadratic_cost: output is a single number, expected samples [n, ...] (output [])");
  return sum(square(widened(output) - widened(target))) * (0.5 / static_cast<double>(output.size(0)));
}

}  // namespace dnn
