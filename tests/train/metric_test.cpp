// Metrics, against counting by hand.
#include "dnn/train/metric.h"

#include <gmock/gmock.h>

#include <cmath>

#include "dnn/error.h"
#include "dnn/ops.h"

namespace dnn {
namespace {

using testing::ThrowsMessage;

Tensor classes(std::vector<int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  return from_values(values, {n});
}

TEST(Accuracy, CountsOverBatches) {
  Accuracy accuracy;
  EXPECT_TRUE(std::isnan(accuracy.value()));
  accuracy.update(tensor({1, 2, 3, 9, 8, 7}, {2, 3}), classes({2, 1}));  // right, wrong
  EXPECT_EQ(accuracy.value(), 0.5);
  accuracy.update(tensor({0, -1, -2}, {1, 3}), classes({0}));  // right
  EXPECT_EQ(accuracy.value(), 2.0 / 3);
  accuracy.reset();
  EXPECT_TRUE(std::isnan(accuracy.value()));
  accuracy.update(tensor({0, 1}, {1, 2}), classes({0}));
  EXPECT_EQ(accuracy.value(), 0.0);
  EXPECT_EQ(accuracy.name(), "accuracy");
}

TEST(Metrics, TakeSumsThatAreKnown) {
  Accuracy accuracy;
  accuracy.add(full({}, 3, {.dtype = DType::int64}), 4);
  accuracy.update(tensor({0, 1}, {1, 2}), classes({0}));
  EXPECT_EQ(accuracy.value(), 0.6);
  RunningMean mean;
  mean.add(full({}, 2), 3);
  mean.add_sum(full({}, 4, {.dtype = DType::float64}), 2);
  EXPECT_EQ(mean.value(), 2.0);
  EXPECT_THAT([&] { accuracy.add(zeros({4}), 4); },
              ThrowsMessage<ShapeError>("accuracy: correct is [4], expected [], one number"));
  EXPECT_THAT([&] { mean.add_sum({}, 4); },
              ThrowsMessage<ArgumentError>("running mean: sum is undefined, expected a number"));
  EXPECT_EQ(accuracy.value(), 0.6);
}

TEST(Accuracy, TakesOtherTypesAndRecordedOutputs) {
  Accuracy accuracy;
  Tensor output = tensor({0, 1, 1, 0}, {2, 2}, {.dtype = DType::float64}).set_requires_grad();
  accuracy.update(output * 2, classes({1, 1}).to(DType::int32));
  EXPECT_EQ(accuracy.value(), 0.5);
}

TEST(Accuracy, ComparesWithTheMostProbableClass) {
  Accuracy accuracy;
  accuracy.update(tensor({1, 2, 3, 9, 8, 7}, {2, 3}), tensor({0.2, 0.2, 0.6, 0.3, 0.4, 0.3}, {2, 3}));  // right, wrong
  EXPECT_EQ(accuracy.value(), 0.5);
  accuracy.update(tensor({0, -1, -2}, {1, 3}), classes({0}));
  EXPECT_EQ(accuracy.value(), 2.0 / 3);
  EXPECT_FALSE(Accuracy::applies(zeros({2, 3}), zeros({2, 3})));
}

TEST(Accuracy, CountsManyClassesExactly) {
  Accuracy accuracy;
  const int64_t n = 1000;
  const Tensor labels = arange(0, n);
  Tensor output = zeros({n, n});
  for (int64_t i = 0; i < n; i += 2) output[i][i].fill_(1);  // the odd rows are all zero: class 0
  accuracy.update(output, labels);
  EXPECT_EQ(accuracy.value(), 0.5);
}

TEST(Accuracy, RefusesWhatIsNoClassification) {
  Accuracy accuracy;
  EXPECT_THAT(
      [&] {
        accuracy.update(zeros({2, 3}), classes({1, 1, 1}));
      },
      ThrowsMessage<ShapeError>(
          "accuracy: output [2, 3] and target [3] do not fit, expected [n, classes] and [n], or one shape"));
  EXPECT_THAT(
      [&] {
        accuracy.update(zeros({2}), classes({1, 1}));
      },
      ThrowsMessage<ShapeError>(
          "accuracy: output [2] and target [2] do not fit, expected [n, classes] and [n], or one shape"));
  EXPECT_THAT(
      [&] {
        accuracy.update(zeros({2, 3}), zeros({2}));
      },
      ThrowsMessage<DTypeError>(
          "accuracy: output is float32 and target float32 [2], expected a floating type and int64 or int32 [n], or a "
          "floating type [n, classes]"));
  EXPECT_THROW(accuracy.update(zeros({2, 2}), zeros({2, 2}, {.dtype = DType::int64})), DTypeError);
  EXPECT_FALSE(Accuracy::applies(zeros({2, 1}), zeros({2, 1})));
  EXPECT_TRUE(Accuracy::applies(zeros({2, 3}), classes({1, 1})));
}

TEST(RunningMean, WeighsAndForgets) {
  RunningMean mean;
  EXPECT_TRUE(std::isnan(mean.value()));
  mean.add(tensor({3}), 2);
  mean.add(tensor({6}, {}), 1);
  EXPECT_EQ(mean.value(), 4.0);
  mean.reset();
  EXPECT_TRUE(std::isnan(mean.value()));
  mean.add(tensor({5}).set_requires_grad() * 1, 3);
  EXPECT_EQ(mean.value(), 5.0);
  EXPECT_THAT([&] { mean.add(zeros({2}), 1); },
              ThrowsMessage<ShapeError>("running mean: value is [2], expected one element"));
}

TEST(RunningMean, KeepsSmallNumbersBesideLargeOnes) {
  RunningMean mean;
  mean.add(tensor({1e8}), 1);
  for (int i = 0; i < 1000; ++i) mean.add(tensor({0.25}), 1);
  EXPECT_EQ(mean.value(), (1e8 + 250) / 1001);
}

}  // namespace
}  // namespace dnn
