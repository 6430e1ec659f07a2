// Training on probabilities as targets, as Mixup and CutMix make them.
#include <gtest/gtest.h>

#include <cmath>

#include "dnn/data.h"
#include "dnn/layers.h"
#include "dnn/ops.h"
#include "dnn/optim.h"
#include "dnn/train.h"

namespace dnn {
namespace {

// Two classes that a line tells apart.
TensorDataset two_classes(int64_t n) {
  const Tensor inputs = zeros({n, 2});
  const Tensor targets = zeros({n}, {.dtype = DType::int64});
  for (int64_t i = 0; i < n; ++i) {
    inputs[i][i % 2].fill_(1);
    targets[i].fill_(static_cast<int>(i % 2));
  }
  return {inputs, targets};
}

TEST(SoftTargets, TrainANet) {
  DataLoader train(two_classes(64), {.batch_size = 8, .shuffle = true, .batch_transforms = {Mixup(2, {.alpha = 0.4})}});
  DataLoader test(two_classes(10), {.batch_size = 5});
  Sequential net(Linear(2, 2));
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.5}),
                  {.epochs = 5, .metrics = {std::make_shared<TopKAccuracy>(1)}, .progress = Progress::off});
  const History history = trainer.fit(train, test);
  EXPECT_LT(history.back().loss, history.front().loss);
  EXPECT_TRUE(std::isnan(history.back().accuracy)) << "targets that may be anything have no accuracy by themselves";
  EXPECT_EQ(history.back().val_accuracy, 1);
  const double accuracy = history.back().metrics.at("top1");
  EXPECT_TRUE(accuracy > 0.6 && accuracy <= 1) << accuracy;
}

}  // namespace
}  // namespace dnn
