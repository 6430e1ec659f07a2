// Training steps: the host never waits for the device, and memory stays what it is after the first steps.
#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Step : public OnDevice {};

// The batches lie on the device: uploads have a few buffers, and a host that is far ahead of the device waits for them.
TEST_P(Step, NeverWaitsForTheDevice) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    Training training(task, device());
    const std::vector<Batch> batches{batch_of(task, 0, device()), batch_of(task, 1, device())};
    for (const int i : {0, 1, 0}) training.step(batches[static_cast<size_t>(i)]);
    synchronize(device());
    const int64_t waits = host_waits(device());
    Tensor loss;
    for (size_t i = 0; i < 20; ++i) loss = training.step(batches[i % 2]);
    EXPECT_EQ(host_waits(device()), waits);
    EXPECT_LT(loss.item(), 10);
    if (device().is_cuda()) {
      EXPECT_GT(host_waits(device()), waits) << "and item() is counted";
    }
  }
}

TEST_P(Step, KeepsItsMemoryOverAHundredSteps) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    Training training(task, device());
    const Batch batch = batch_of(task, 0, device());
    for (int i = 0; i < 5; ++i) training.step(batch);
    synchronize(device());
    const MemoryStats early = memory_stats(device());
    for (int i = 0; i < 100; ++i) training.step(batch);
    synchronize(device());
    const MemoryStats late = memory_stats(device());
    EXPECT_EQ(late.in_use, early.in_use);
    EXPECT_EQ(late.peak, early.peak);
    EXPECT_EQ(late.reserved, early.reserved);
    EXPECT_EQ(late.system_requests, early.system_requests);
  }
}

// The way that programs train: loader, Trainer, metrics. It waits when it prints or ends an epoch, not in each step.
TEST_P(Step, TheTrainersWaitsDoNotGrowWithTheSteps) {
  const auto waits_of = [&](int64_t samples) {
    manual_seed(1);
    Sequential net = lenet5();
    DataLoader loader(SyntheticDigits(samples, 3), {.batch_size = 4, .threads = 0});
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.01}), {.device = device(), .progress = Progress::off});
    trainer.fit(loader);
    const int64_t before = host_waits(device());
    trainer.fit(loader);
    return host_waits(device()) - before;
  };
  EXPECT_EQ(waits_of(12), waits_of(4));
}

DNN_ON_DEVICES(Step);

}  // namespace
}  // namespace dnn::test
