// Metrics of classification besides the accuracy: top-k accuracy, confusion matrix, precision, recall, F1.
//
// All of them take outputs [n, classes] and classes [n] of int64 or int32, or probabilities [n, classes] of the classes
// (of mixed images, say), of which the largest counts. Labels outside the classes, such as an `ignore_index`, are left
// out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dnn/train/metric.h"

namespace dnn {

/// The share of samples whose class is among the k largest outputs, in [0, 1]; of equal outputs the first ones count.
class TopKAccuracy : public Metric {
 public:
  /// Throws ArgumentError for k below 1.
  explicit TopKAccuracy(int64_t k = 5);
  /// "top5" for k = 5.
  std::string name() const override;
  void reset() override;
  /// Throws ShapeError, DTypeError. With fewer than k classes everything is right.
  void update(const Tensor& output, const Tensor& target) override;
  double value() const override;
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

 private:
  int64_t k_;
  Tensor hits_, samples_;  // float64 [], on the device
};

/// How often each class was taken for each: row = true class, column = predicted class.
class ConfusionMatrix : public Metric {
 public:
  /// `class_names` are for the table; without them it has numbers.
  explicit ConfusionMatrix(std::vector<std::string> class_names = {}) : class_names_(std::move(class_names)) {}
  std::string name() const override { return "confusion_matrix"; }
  void reset() override { counts_ = {}; }
  /// Throws ShapeError, also when the number of classes has changed or is not that of the names; DTypeError.
  void update(const Tensor& output, const Tensor& target) override;
  /// The share on the diagonal: the accuracy.
  double value() const override;
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

  /// The counts, int64 [classes, classes] on the CPU, [0, 0] before the first batch; waits for the device.
  Tensor counts() const;
  /// The counts as a table with the names of the classes.
  std::string str() const;

 private:
  std::vector<std::string> class_names_;
  Tensor counts_;  // float64 [classes, classes], on the device
};

/// How the scores of the classes become one number, as in scikit-learn.
enum class Average {
  macro,     ///< The mean over the classes that are a sample's class or were predicted for one.
  micro,     ///< From the counts of all classes together; for one class per sample that is the accuracy.
  weighted,  ///< The mean over the classes, each with its number of samples.
};

/// What Precision, Recall and F1 share. A score whose denominator is 0 is 0 and enters the mean as that, e.g. the
/// precision of a class that was never predicted (scikit-learn's zero_division=0).
class ClassScore : public Metric {
 public:
  /// "precision" for macro, else "precision_micro".
  std::string name() const override;
  void reset() override { confusion_.reset(); }
  /// Throws ShapeError, DTypeError.
  void update(const Tensor& output, const Tensor& target) override { confusion_.update(output, target); }
  double value() const override;
  StateDict state_dict() const override { return confusion_.state_dict(); }
  void load_state_dict(const StateDict& state) override { confusion_.load_state_dict(state); }
  /// The score of each class; empty before the first batch.
  std::vector<double> per_class() const;

 protected:
  ClassScore(std::string name, Average average) : name_(std::move(name)), average_(average) {}
  /// The score from the samples of a class that were found, its predictions and its samples.
  virtual double score(double found, double predictions, double samples) const = 0;

 private:
  std::string name_;
  Average average_;
  ConfusionMatrix confusion_;
};

/// The share of the predictions of a class that are right.
class Precision : public ClassScore {
 public:
  explicit Precision(Average average = Average::macro) : ClassScore("precision", average) {}

 protected:
  double score(double found, double predictions, double samples) const override;
};

/// The share of the samples of a class that were found.
class Recall : public ClassScore {
 public:
  explicit Recall(Average average = Average::macro) : ClassScore("recall", average) {}

 protected:
  double score(double found, double predictions, double samples) const override;
};

/// The harmonic mean of precision and recall.
class F1 : public ClassScore {
 public:
  explicit F1(Average average = Average::macro) : ClassScore("f1", average) {}

 protected:
  double score(double found, double predictions, double samples) const override;
};

}  // namespace dnn
