// Data sets that stay on the emulated GPU: the CPU's batches, without a copy from the host or a wait.
#include <gmock/gmock.h>

#include "core/storage.h"
#include "cuda/context.h"
#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using ::testing::Contains;
using ::testing::Not;

ImageDataset images(int64_t count) {
  manual_seed(2);
  ImageDataset result("bytes", randint(0, 256, {count, 3, 8, 8}, {.dtype = DType::uint8}),
                      randint(0, 4, {count}, {.dtype = DType::int64}), {"a", "b", "c", "d"});
  result.normalize({.mean = {0.4f, 0.5f, 0.6f}, .deviation = {0.3f, 0.2f, 0.1f}});
  return result;
}

LoaderOptions options(Device device, DType type = DType::float32) {
  return {.batch_size = 6,
          .shuffle = true,
          .seed = 3,
          .device = device,
          .resident = true,
          .augment = {.padding = 2, .flip = 0.5, .dtype = type}};
}

TEST(Resident, BatchesAreTheCpusBitForBit) {
  const ImageDataset all = images(20);
  for (const DType type : {DType::float32, DType::bfloat16}) {
    DataLoader gpu(all, options(Device::cuda(), type)), cpu(all, options(Device::cpu(), type));
    for (int epoch = 0; epoch < 2; ++epoch) {
      auto expected = cpu.begin();
      for (const auto& [input, target] : gpu) {
        EXPECT_EQ(input.device(), Device::cuda());
        EXPECT_EQ(detail::layout_of(input), detail::Layout::channels_last);
        EXPECT_EQ(input.to(Device::cpu()).to(DType::float32).to_vector<float>(),
                  expected->input.to(DType::float32).to_vector<float>());
        EXPECT_EQ(target.to_vector<int64_t>(), expected->target.to_vector<int64_t>());
        ++expected;
      }
      EXPECT_EQ(expected, cpu.end());
    }
  }
}

TEST(Resident, ABatchIsTwoKernelsAndNoCopy) {
  DataLoader loader(images(20), options(Device::cuda()));
  cuda::Context& context = cuda::Context::of(0);
  auto batch = loader.begin();
  synchronize(Device::cuda());
  const auto before = context.counters();
  start_trace();
  ++batch, ++batch;
  EXPECT_EQ(context.counters().launches, before.launches + 4);
  EXPECT_EQ(context.counters().waits, before.waits);
  drain();
  const auto trace = take_trace();
  EXPECT_EQ(trace.size(), 4u);
  for (const char* move : {"upload", "download", "copy"}) EXPECT_THAT(trace, Not(Contains(move)));
}

TEST(Resident, AConvolutionReadsTheImagesAsTheyAre) {
  DataLoader loader(images(20), options(Device::cuda()));
  auto batch = loader.begin();
  const Tensor w = rand({4, 3, 3, 3}).to(Device::cuda());
  conv2d(batch->input, w);
  start_trace();
  conv2d(batch->input, w);
  synchronize(Device::cuda());
  for (const std::string& name : take_trace()) EXPECT_EQ(name.find("transpose"), std::string::npos) << name;
}

// The first layer of a perceptron reads its input row by row, so the copy of it that a captured step has becomes plain.
TEST(Resident, CapturedStepsOfAPerceptronTakeItsBatches) {
  set_order(Order::forward);
  const auto train = [&](bool capture) {
    manual_seed(3);
    Sequential net(Flatten(), Linear(3 * 8 * 8, 4));
    net.to(Device::cuda());
    DataLoader loader(images(24), options(Device::cuda()));
    TrainerOptions how;
    how.epochs = 2;
    how.capture = capture;
    how.progress = Progress::off;
    Trainer trainer(net, std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05}), how);
    trainer.fit(loader);
    return static_cast<Linear&>(net[1]).weight.to_vector<float>();
  };
  EXPECT_EQ(train(true), train(false));
  set_order(Order::every);
}

class Watch : public Callback {
 public:
  void on_step_end(Trainer& trainer) override {
    if (trainer.captured_step() != nullptr) repetitions = trainer.captured_step()->repetitions();
  }
  int64_t repetitions = 0;
};

TEST(Resident, CapturedStepsOfATrainerTakeItsBatches) {
  set_order(Order::forward);
  cuda::Context::of(0).memory().set_caching(true);
  int64_t repetitions = 0;
  const auto train = [&](bool resident, bool capture) {
    manual_seed(3);
    Sequential net(Conv2d(3, 8, {.kernel = 3, .padding = 1}), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),
                   Linear(8 * 4 * 4, 4));
    net.to(Device::cuda());
    LoaderOptions with = options(Device::cuda());
    with.resident = resident;
    if (!resident) with.augment = {};
    DataLoader loader(images(26), with);  // the last batch of an epoch has two images
    TrainerOptions how;
    how.epochs = 4;
    how.capture = capture;
    how.progress = Progress::off;
    const auto watch = std::make_shared<Watch>();
    how.callbacks = {watch};
    Trainer trainer(net, std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.9}), how);
    trainer.fit(loader);
    repetitions = watch->repetitions;
    std::vector<float> all;
    for (const Tensor& p : net.parameters())
      for (const float value : p.to_vector<float>()) all.push_back(value);
    return all;
  };
  const auto expected = train(true, false);
  EXPECT_EQ(train(true, true), expected);
  EXPECT_GT(repetitions, 4);
  EXPECT_NE(train(false, false), expected) << "without augmentation";
  cuda::Context::of(0).memory().set_caching(false);
  set_order(Order::every);
}

}  // namespace
}  // namespace dnn::simt::test
