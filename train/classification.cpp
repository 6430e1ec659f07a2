// Everything but top-k is read off the confusion matrix, which is a product on the device: with one row per sample, 1
// at its class and 0 elsewhere, the counts are (true classes)^T (predicted classes).
#include "dnn/train/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "train/device_sum.h"
#include "train/state_numbers.h"

namespace dnn {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

// The class of each sample, float32 [n].
Tensor checked_classes(const std::string& where, const Tensor& output, const Tensor& target) {
  const bool labels = output.rank() == 2 && target.rank() == 1 && output.size(0) == target.size(0);
  const bool shares = output.rank() == 2 && target.shape() == output.shape();
  if (!labels && !shares)
    throw ShapeError(fmt::format("{}: output {} and target {} do not fit, expected [n, classes] and [n], or one shape",
                                 where, output.shape().str(), target.shape().str()));
  const bool integers = target.dtype() == DType::int64 || target.dtype() == DType::int32;
  if (!is_floating(output.dtype()) || (labels ? !integers : !is_floating(target.dtype())))
    throw DTypeError(
        fmt::format("{}: output is {} and target {} {}, expected a floating type and int64 or int32 [n], or "
                    "a floating type [n, classes]",
                    where, name_of(output.dtype()), name_of(target.dtype()), target.shape().str()));
  return (labels ? target : argmax(target, 1)).to(DType::float32);
}

// For integers, relu(1 - (a - b)^2) is 1 where a equals b and 0 elsewhere.
Tensor equal(const Tensor& a, const Tensor& b) { return relu(1 - square(a - b)); }

// One row for each class, one column for each sample: 1 at its class; [classes, n].
Tensor one_hot_columns(const Tensor& classes, int64_t count) {
  const Tensor numbers = arange(0, count, 1, {.dtype = DType::float32, .device = classes.device()});
  return equal(numbers.reshape({count, 1}), classes.reshape({1, -1}));
}

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

}  // namespace

TopKAccuracy::TopKAccuracy(int64_t k) : k_(k) {
  if (k < 1) throw ArgumentError(fmt::format("top_k_accuracy: k is {}, expected at least 1", k));
}

std::string TopKAccuracy::name() const { return fmt::format("top{}", k_); }

void TopKAccuracy::reset() { hits_ = samples_ = {}; }

void TopKAccuracy::update(const Tensor& output, const Tensor& target) {
  const NoGrad no_grad;
  const Tensor classes = checked_classes(name(), output, target);
  const Tensor best = topk(output.detach(), std::min(k_, output.size(1))).indices.to(DType::float32);
  accumulate(hits_, sum(equal(best, classes.reshape({-1, 1}))), 1);
  accumulate(samples_, sum(one_hot_columns(classes, output.size(1))), 1);
}

double TopKAccuracy::value() const {
  const double samples = samples_.defined() ? samples_.item() : 0;
  return samples == 0 ? none : hits_.item() / samples;
}

StateDict TopKAccuracy::state_dict() const {
  return {{"sum", hits_.defined() ? hits_ : state_number(0.0)},
          {"weight", samples_.defined() ? samples_ : state_number(0.0)}};
}

void TopKAccuracy::load_state_dict(const StateDict& state) {
  const Tensor hits = state_tensor(state, "top_k_accuracy", "sum", DType::float64, {});
  const Tensor samples = state_tensor(state, "top_k_accuracy", "weight", DType::float64, {});
  hits_ = hits.clone(), samples_ = samples.clone();
}

void ConfusionMatrix::update(const Tensor& output, const Tensor& target) {
  const NoGrad no_grad;
  const Tensor truth = checked_classes(name(), output, target);
  const int64_t classes = output.size(1);
  if (!class_names_.empty() && static_cast<int64_t>(class_names_.size()) != classes)
    throw ShapeError(fmt::format("confusion_matrix: output {} has {} classes, expected one for each of the {} names",
                                 output.shape().str(), classes, class_names_.size()));
  if (counts_.defined() && counts_.size(0) != classes)
    throw ShapeError(fmt::format("confusion_matrix: output {} has {} classes, expected {} as before",
                                 output.shape().str(), classes, counts_.size(0)));
  const Tensor predicted = argmax(output.detach(), 1).to(DType::float32);
  accumulate(counts_, linear(one_hot_columns(truth, classes), one_hot_columns(predicted, classes)), 1);
}

Tensor ConfusionMatrix::counts() const {
  return counts_.defined() ? counts_.to(Device::cpu()).to(DType::int64) : zeros({0, 0}, {.dtype = DType::int64});
}

double ConfusionMatrix::value() const {
  const std::vector<int64_t> all = counts().to_vector<int64_t>();
  const auto classes = static_cast<size_t>(counts_.defined() ? counts_.size(0) : 0);
  int64_t total = 0, right = 0;
  for (size_t i = 0; i < all.size(); ++i) total += all[i], right += i / classes == i % classes ? all[i] : 0;
  return total == 0 ? none : static_cast<double>(right) / static_cast<double>(total);
}

StateDict ConfusionMatrix::state_dict() const {
  return {{"counts", counts_.defined() ? counts_ : zeros({0, 0}, {.dtype = DType::float64})}};
}

void ConfusionMatrix::load_state_dict(const StateDict& state) {
  const Tensor* found = state.find("counts");
  if (found == nullptr || found->dtype() != DType::float64 || found->rank() != 2 || found->size(0) != found->size(1))
    throw ArgumentError("confusion_matrix: the state has no float64 'counts' [classes, classes]");
  counts_ = found->numel() == 0 ? Tensor() : found->clone();
}

std::string ConfusionMatrix::str() const {
  const std::vector<int64_t> all = counts().to_vector<int64_t>();
  const auto classes = static_cast<size_t>(counts_.defined() ? counts_.size(0) : 0);
  const std::string corner = "true \\ predicted";
  std::vector<std::string> names;
  for (size_t i = 0; i < classes; ++i) names.push_back(class_names_.empty() ? std::to_string(i) : class_names_[i]);
  size_t first = corner.size();
  for (const std::string& name : names) first = std::max(first, name.size());
  std::string text = fmt::format("{:<{}}", corner, first);
  std::vector<size_t> widths;
  for (size_t column = 0; column < classes; ++column) {
    size_t width = names[column].size();
    for (size_t row = 0; row < classes; ++row)
      width = std::max(width, std::to_string(all[row * classes + column]).size());
    widths.push_back(width);
    text += fmt::format("  {:>{}}", names[column], width);
  }
  for (size_t row = 0; row < classes; ++row) {
    text += fmt::format("\n{:<{}}", names[row], first);
    for (size_t column = 0; column < classes; ++column)
      text += fmt::format("  {:>{}}", all[row * classes + column], widths[column]);
  }
  return text + "\n";
}

namespace {

// A class in a confusion matrix.
struct ClassCounts {
  double found = 0, predictions = 0, samples = 0;
};

std::vector<ClassCounts> class_counts(const ConfusionMatrix& confusion) {
  const Tensor counts = confusion.counts();
  const std::vector<int64_t> all = counts.to_vector<int64_t>();
  const auto classes = static_cast<size_t>(counts.size(0));
  std::vector<ClassCounts> result(classes);
  for (size_t i = 0; i < all.size(); ++i) {
    const auto count = static_cast<double>(all[i]);
    result[i / classes].samples += count;
    result[i % classes].predictions += count;
    if (i / classes == i % classes) result[i / classes].found += count;
  }
  return result;
}

}  // namespace

std::string ClassScore::name() const {
  switch (average_) {
    case Average::micro: return name_ + "_micro";
    case Average::weighted: return name_ + "_weighted";
    case Average::macro: break;
  }
  return name_;
}

std::vector<double> ClassScore::per_class() const {
  std::vector<double> scores;
  for (const ClassCounts& c : class_counts(confusion_)) scores.push_back(score(c.found, c.predictions, c.samples));
  return scores;
}

double ClassScore::value() const {
  ClassCounts all;
  double sum = 0, weights = 0;
  for (const ClassCounts& c : class_counts(confusion_)) {
    const double present = c.samples + c.predictions > 0 ? 1 : 0;
    const double weight = average_ == Average::weighted ? c.samples : present;
    sum += weight * score(c.found, c.predictions, c.samples);
    weights += weight;
    all.found += c.found, all.predictions += c.predictions, all.samples += c.samples;
  }
  if (all.samples == 0) return none;
  return average_ == Average::micro ? score(all.found, all.predictions, all.samples) : sum / weights;
}

double Precision::score(double found, double predictions, double) const { return ratio(found, predictions); }
double Recall::score(double found, double, double samples) const { return ratio(found, samples); }
double F1::score(double found, double predictions, double samples) const {
  return ratio(2 * found, predictions + samples);
}

}  // namespace dnn
