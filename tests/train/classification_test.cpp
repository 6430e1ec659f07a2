// Metrics of classification and regression, against counting by hand and scikit-learn.
#include "dnn/train/classification.h"

#include <gmock/gmock.h>

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops.h"
#include "dnn/train/regression.h"

namespace dnn {
namespace {

using testing::ElementsAre;
using testing::ThrowsMessage;

Tensor classes(std::vector<int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  return from_values(values, {n});
}

// Outputs [n, count] whose largest is at the given class.
Tensor outputs(const std::vector<int64_t>& predicted, int64_t count) {
  Tensor output = zeros({static_cast<int64_t>(predicted.size()), count});
  for (size_t i = 0; i < predicted.size(); ++i) output[static_cast<int64_t>(i)][predicted[i]].fill_(2);
  return output;
}

// Ten samples of five classes: 3 is never predicted for its only sample, 4 appears nowhere.
const std::vector<int64_t> truth{0, 0, 0, 1, 1, 2, 2, 2, 2, 3}, predicted{0, 1, 0, 1, 1, 2, 0, 2, 1, 0};

TEST(TopKAccuracy, CountsClassesAmongTheLargestOutputs) {
  TopKAccuracy top1(1), top2(2), top5;
  EXPECT_EQ(top5.name(), "top5");
  EXPECT_TRUE(std::isnan(top2.value()));
  // Places of the class: 1, 2, 3, then 1 of two equals, then 2 of two equals.
  const Tensor output = tensor({3, 2, 1, 3, 2, 1, 3, 2, 1, 5, 5, 1, 5, 5, 1}, {5, 3});
  for (TopKAccuracy* metric : {&top1, &top2, &top5}) {
    metric->update(output.slice(0, 0, 2), classes({0, 1}));
    metric->update(output.slice(0, 2, 5), classes({2, 0, 1}).to(DType::int32));
  }
  EXPECT_DOUBLE_EQ(top1.value(), 0.4);
  EXPECT_DOUBLE_EQ(top2.value(), 0.8);
  EXPECT_DOUBLE_EQ(top5.value(), 1);
  TopKAccuracy other(2);
  other.load_state_dict(top2.state_dict());
  EXPECT_EQ(other.value(), top2.value());
  top2.reset();
  EXPECT_TRUE(std::isnan(top2.value()));
  top2.update(tensor({0, 1, 2}, {1, 3}), tensor({0, 0.6, 0.4}, {1, 3}));
  EXPECT_EQ(top2.value(), 1);
  EXPECT_THAT([] { TopKAccuracy metric(0); },
              ThrowsMessage<ArgumentError>("top_k_accuracy: k is 0, expected at least 1"));
}

TEST(TopKAccuracy, LeavesOutOtherLabels) {
  TopKAccuracy top1(1);
  top1.update(outputs({0, 1}, 2), classes({-100, 2}));
  EXPECT_TRUE(std::isnan(top1.value()));
  top1.update(outputs({0, 1, 1, 0}, 2), classes({-100, 1, 1, 1}));
  EXPECT_DOUBLE_EQ(top1.value(), 2.0 / 3);
}

TEST(TopKAccuracy, WithOneIsTheAccuracy) {
  TopKAccuracy top1(1);
  Accuracy accuracy;
  manual_seed(1);
  for (int i = 0; i < 3; ++i) {
    const Tensor output = rand({100, 7}), target = argmax(rand({100, 7}), 1);
    top1.update(output, target);
    accuracy.update(output, target);
  }
  EXPECT_DOUBLE_EQ(top1.value(), accuracy.value());
}

TEST(ConfusionMatrix, CountsTrueClassesInRowsAndPredictionsInColumns) {
  ConfusionMatrix confusion;
  EXPECT_TRUE(std::isnan(confusion.value()));
  EXPECT_EQ(confusion.counts().shape(), Shape({0, 0}));
  EXPECT_EQ(confusion.str(), "true \\ predicted\n");
  confusion.update(outputs({0, 1, 0, 1, 1, 2}, 4), classes({0, 0, 0, 1, 1, 2}));
  confusion.update(outputs({0, 2, 1, 0}, 4), classes({2, 2, 2, 3}));
  EXPECT_EQ(confusion.counts().to_vector<int64_t>(),
            (std::vector<int64_t>{2, 1, 0, 0, 0, 2, 0, 0, 1, 1, 2, 0, 1, 0, 0, 0}));
  EXPECT_EQ(confusion.value(), 0.6);
  EXPECT_EQ(confusion.str(),
            "true \\ predicted  0  1  2  3\n"
            "0                 2  1  0  0\n"
            "1                 0  2  0  0\n"
            "2                 1  1  2  0\n"
            "3                 1  0  0  0\n");
  confusion.reset();
  EXPECT_TRUE(std::isnan(confusion.value()));
  confusion.update(outputs({1}, 2), classes({1}));
  EXPECT_EQ(confusion.value(), 1);
}

TEST(ConfusionMatrix, PrintsTheNamesOfTheClasses) {
  ConfusionMatrix confusion({"cat", "a very large dog"});
  for (int i = 0; i < 250; ++i) confusion.update(outputs({0, 0, 1, 1}, 2), classes({0, 0, 0, 1}));
  EXPECT_EQ(confusion.str(),
            "true \\ predicted  cat  a very large dog\n"
            "cat               500               250\n"
            "a very large dog    0               250\n");
}

TEST(ConfusionMatrix, TakesSharesAndLeavesOutOtherLabels) {
  ConfusionMatrix confusion;
  confusion.update(outputs({0, 1, 1}, 2), classes({-100, 1, 2}).to(DType::int32));
  EXPECT_EQ(confusion.counts().to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 0, 1}));
  confusion.update(outputs({0, 1}, 2), tensor({0.7, 0.3, 0.6, 0.4}, {2, 2}));
  EXPECT_EQ(confusion.counts().to_vector<int64_t>(), (std::vector<int64_t>{1, 1, 0, 1}));
}

TEST(ConfusionMatrix, SavesItsCounts) {
  ConfusionMatrix a, b;
  b.load_state_dict(a.state_dict());
  EXPECT_TRUE(std::isnan(b.value()));
  a.update(outputs(predicted, 5), classes(truth));
  b.load_state_dict(a.state_dict());
  a.update(outputs(predicted, 5), classes(truth));
  EXPECT_EQ(sum(b.counts()).item(), 10);
  b.update(outputs(predicted, 5), classes(truth));
  EXPECT_EQ(b.counts().to_vector<int64_t>(), a.counts().to_vector<int64_t>());
  for (const Tensor& bad : {zeros({2, 2}), zeros({2, 3}, {.dtype = DType::float64})})
    EXPECT_THAT(
        [&] {
          b.load_state_dict({{"counts", bad}});
        },
        ThrowsMessage<ArgumentError>("confusion_matrix: the state has no float64 'counts' [classes, classes]"));
}

TEST(ConfusionMatrix, RefusesWhatDoesNotFit) {
  ConfusionMatrix confusion({"a", "b", "c"});
  EXPECT_THAT(
      [&] {
        confusion.update(zeros({4, 3}), classes({1, 2}));
      },
      ThrowsMessage<ShapeError>("confusion_matrix: output [4, 3] and target [2] do not fit, expected [n, classes] "
                                "and [n], or one shape"));
  EXPECT_THAT(
      [&] {
        confusion.update(zeros({2, 3}), zeros({2}));
      },
      ThrowsMessage<DTypeError>("confusion_matrix: output is float32 and target float32 [2], expected a floating "
                                "type and int64 or int32 [n], or a floating type [n, classes]"));
  EXPECT_THAT(
      [&] {
        confusion.update(zeros({1, 2}), classes({1}));
      },
      ThrowsMessage<ShapeError>("confusion_matrix: output [1, 2] has 2 classes, expected one for each of the 3 names"));
  ConfusionMatrix other;
  other.update(zeros({1, 3}), classes({0}));
  EXPECT_THAT(
      [&] {
        other.update(zeros({1, 2}), classes({1}));
      },
      ThrowsMessage<ShapeError>("confusion_matrix: output [1, 2] has 2 classes, expected 3 as before"));
}

// The numbers are those of sklearn.metrics.precision_score(truth, predicted, average=..., zero_division=0) and so on.
TEST(ClassScore, IsScikitLearns) {
  const auto value = [](ClassScore&& score) {
    EXPECT_TRUE(std::isnan(score.value()));
    EXPECT_TRUE(score.per_class().empty());
    score.update(outputs(predicted, 5), classes(truth));
    return score.value();
  };
  EXPECT_DOUBLE_EQ(value(Precision()), 0.5);
  EXPECT_DOUBLE_EQ(value(Precision(Average::micro)), 0.6);
  EXPECT_DOUBLE_EQ(value(Precision(Average::weighted)), 0.65);
  EXPECT_DOUBLE_EQ(value(Recall()), 0.5416666666666666);
  EXPECT_DOUBLE_EQ(value(Recall(Average::micro)), 0.6);
  EXPECT_DOUBLE_EQ(value(Recall(Average::weighted)), 0.6);
  EXPECT_DOUBLE_EQ(value(F1()), 0.47619047619047616);
  EXPECT_DOUBLE_EQ(value(F1(Average::micro)), 0.6);
  EXPECT_DOUBLE_EQ(value(F1(Average::weighted)), 0.5714285714285714);

  F1 f1;
  f1.update(outputs(predicted, 5), classes(truth));
  EXPECT_THAT(f1.per_class(), ElementsAre(4.0 / 7, 2.0 / 3, 2.0 / 3, 0, 0));
  F1 other;
  other.load_state_dict(f1.state_dict());
  EXPECT_EQ(other.value(), f1.value());
  f1.reset();
  EXPECT_TRUE(std::isnan(f1.value()));
}

TEST(ClassScore, HasANameForEachAverage) {
  EXPECT_EQ(Precision().name(), "precision");
  EXPECT_EQ(Recall(Average::micro).name(), "recall_micro");
  EXPECT_EQ(F1(Average::weighted).name(), "f1_weighted");
}

TEST(Regression, MeansOverAllElements) {
  MeanAbsoluteError mae;
  MeanSquaredError mse;
  EXPECT_FALSE(mae.higher_is_better());
  EXPECT_TRUE(std::isnan(mse.value()));
  for (Metric* metric : {static_cast<Metric*>(&mae), static_cast<Metric*>(&mse)}) {
    metric->update(tensor({1, 2, 3, 4}, {2, 2}).set_requires_grad() * 1, tensor({1, 2, 3, 0}, {2, 2}));
    metric->update(tensor({1}, {1, 1}), tensor({3}, {1, 1}));
  }
  EXPECT_EQ(mae.name(), "mae");
  EXPECT_EQ(mse.name(), "mse");
  EXPECT_DOUBLE_EQ(mae.value(), 6.0 / 5);
  EXPECT_DOUBLE_EQ(mse.value(), 20.0 / 5);
  MeanSquaredError other;
  other.load_state_dict(mse.state_dict());
  EXPECT_EQ(other.value(), mse.value());
  mae.reset();
  EXPECT_TRUE(std::isnan(mae.value()));
  EXPECT_THROW(mae.update(zeros({2, 1}), zeros({2})), ShapeError);
}

}  // namespace
}  // namespace dnn
