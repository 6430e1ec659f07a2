// Data sets that stay on the emulated GPU: the CPU's batches, without a copy from the host or a wait.
#include <gmock/gmock.h>

#include <filesystem>

#include "core/kernels/runtime.h"
#include "core/storage.h"
#include "cuda/context.h"
#include "dnn/dnn.h"
#include "tests/harness/errors.h"
#include "tests/simt/graph_fixture.h"

namespace dnn::simt::test {
namespace {

using ::testing::Contains;
using ::testing::FloatNear;
using ::testing::Not;
using ::testing::Pointwise;

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

Sequential perceptron() {
  manual_seed(3);
  Sequential net(Flatten(), Linear(3 * 8 * 8, 4));
  net.to(Device::cuda());
  return net;
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

// Without a copy of the images to the host; only the classes are looked at there.
TEST(Resident, MixedBatchesStayOnTheDevice) {
  const ImageDataset all = images(20);
  for (const BatchTransform& mix :
       {BatchTransform(Mixup(4)), BatchTransform(CutMix(4)), BatchTransform(Mixup(4, {.p = 0}))}) {
    LoaderOptions gpu_options = options(Device::cuda()), cpu_options = options(Device::cpu());
    gpu_options.batch_transforms = cpu_options.batch_transforms = {mix};
    DataLoader gpu(all, gpu_options), cpu(all, cpu_options);
    auto expected = cpu.begin();
    for (const auto& [input, target] : gpu) {
      EXPECT_EQ(input.device(), Device::cuda());
      EXPECT_EQ(target.device(), Device::cuda());
      const auto values = [](const Tensor& t) { return t.to(Device::cpu()).to_vector<float>(); };
      EXPECT_THAT(values(input), Pointwise(FloatNear(1e-6f), values(expected->input)));
      EXPECT_THAT(values(target), Pointwise(FloatNear(1e-6f), values(expected->target)));
      ++expected;
    }
  }
  Batch apart{zeros({2, 3, 4, 4}, {.device = Device::cuda()}), zeros({2}, {.dtype = DType::int64})};
  Generator chance;
  EXPECT_ERROR(Mixup(4)(apart, chance), DeviceError,
               "Mixup: input is on cuda:0 and target on cpu, expected one device");
}

TEST(Samples, OnTheGpuAreRefused) {
  const TransformedDataset data(TensorDataset(ones({4, 1, 2, 2}), arange(0, 4)),
                                {[](Sample& sample, Generator&) { sample.input = sample.input.to(Device::cuda()); }});
  EXPECT_ERROR(data.batch(std::vector<int64_t>{3}), DeviceError,
               "tensors: the input of sample 3 is on cuda:0, expected cpu");
  EXPECT_ERROR(channel_statistics(data), DeviceError,
               "channel_statistics: the images are on cuda:0, expected cpu (tensors: sample 0 is [1, 2, 2])");
}

// The first layer of a perceptron reads its input row by row, so the copy of it that a captured step has becomes plain.
TEST(Resident, CapturedStepsOfAPerceptronTakeItsBatches) {
  set_order(Order::forward);
  const auto train = [&](bool capture) {
    Sequential net = perceptron();
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
  explicit Watch(bool makes_batches) : makes_batches_(makes_batches) {}
  void on_step_end(Trainer& trainer) override {
    const int64_t before = repetitions;
    if (trainer.captured_step() != nullptr) repetitions = trainer.captured_step()->repetitions();
    const Counters now = counters();
    if (makes_batches_ && repetitions > before && trainer.batch() > trainer.options().steps_per_launch) {
      EXPECT_EQ(now.graph_launches - last_.graph_launches, 1);
      EXPECT_LE(now.launches - last_.launches, 1) << "the numbers that vary";
      EXPECT_EQ(now.allocations, last_.allocations);
      EXPECT_EQ(now.waits, last_.waits);
    }
    if (trainer.batch() % trainer.options().steps_per_launch == 0) last_ = now;
  }
  int64_t repetitions = 0;

 private:
  const bool makes_batches_;
  Counters last_;
};

class ResidentSteps : public GraphTest {
 protected:
  // The weights after some epochs.
  std::vector<float> train(const LoaderOptions& with, TrainerOptions how, int64_t count = 26) {
    manual_seed(3);
    Sequential net(Conv2d(3, 8, {.kernel = 3, .padding = 1}), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),
                   Linear(8 * 4 * 4, 4));
    net.to(Device::cuda());
    DataLoader loader(images(count), with);
    how.epochs = 4;
    how.progress = Progress::off;
    const auto watch = std::make_shared<Watch>(with.resident && with.batch_transforms.empty());
    how.callbacks = {watch};
    Trainer trainer(net, std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.9}), how);
    trainer.fit(loader);
    EXPECT_EQ(loader.epoch(), 4);
    repetitions = watch->repetitions;
    std::vector<float> all;
    for (const Tensor& p : net.parameters())
      for (const float value : p.to_vector<float>()) all.push_back(value);
    return all;
  }
  int64_t repetitions = 0;
};

TEST_F(ResidentSteps, OfATrainerMakeTheirBatches) {
  const LoaderOptions with = options(Device::cuda());  // the last batch of an epoch has two images
  const auto expected = train(with, {.capture = false});
  EXPECT_EQ(train(with, {}), expected);
  EXPECT_EQ(repetitions, 1 + 3 * 3) << "each epoch begins with a recording, and so does its last batch";
  LoaderOptions sent = with;
  sent.resident = false, sent.augment = {};
  EXPECT_NE(train(sent, {.capture = false}), expected) << "without augmentation";
}

TEST_F(ResidentSteps, SeveralOfALaunchAndOfSeveralBatches) {
  const LoaderOptions with = options(Device::cuda());
  EXPECT_EQ(train(with, {.steps_per_launch = 3}, 60), train(with, {.capture = false}, 60));
  EXPECT_GE(repetitions, 6);
  EXPECT_EQ(train(with, {.accumulate = 2, .steps_per_launch = 2}, 50),
            train(with, {.accumulate = 2, .capture = false}, 50));
  EXPECT_GE(repetitions, 2);
}

// Stopped in the middle of an epoch, and gone on with.
TEST_F(ResidentSteps, OfAResumedRunAreThoseOfAWholeOne) {
  class Stop : public Callback {
   public:
    void on_step_end(Trainer& trainer) override {
      if (trainer.step() == 7) trainer.stop();
    }
  };
  const std::string path = (std::filesystem::temp_directory_path() / "dnn_resident_steps.safetensors").string();
  const ImageDataset all = images(26);
  const auto run = [&](bool capture, bool stop, bool resume) {
    manual_seed(3);
    Sequential net(Flatten(), Dropout(0.2), Linear(3 * 8 * 8, 4));
    net.to(Device::cuda());
    DataLoader loader(all, options(Device::cuda())),
        test(all, {.batch_size = 8, .device = Device::cuda(), .resident = true});
    TrainerOptions how{.epochs = 3, .capture = capture, .progress = Progress::off};
    if (stop) how.callbacks = {std::make_shared<Stop>()};
    Trainer trainer(net, std::make_shared<Adam>(net.parameters(), AdamOptions{}), how);
    if (resume) trainer.resume(path);
    const History history = trainer.fit(loader, test);
    if (stop) trainer.save(path);
    std::vector<double> numbers;
    for (const EpochStats& epoch : history) numbers.insert(numbers.end(), {epoch.loss, epoch.accuracy, epoch.val_loss});
    for (const float value : static_cast<Linear&>(net[2]).weight.to_vector<float>()) numbers.push_back(value);
    return numbers;
  };
  const auto expected = run(false, false, false);
  EXPECT_EQ(run(true, false, false), expected);
  run(true, true, false);
  EXPECT_EQ(run(true, false, true), expected);
  std::filesystem::remove(path);
}

TEST_F(ResidentSteps, OfTwoLoadersInTurn) {
  const TensorDataset tensors(rand({18, 5}), randint(0, 4, {18}, {.dtype = DType::int64}));
  const TensorDataset others(rand({22, 5}), randint(0, 4, {22}, {.dtype = DType::int64}));
  const auto run = [&](bool capture) {
    manual_seed(3);
    Sequential net(Linear(5, 4));
    net.to(Device::cuda());
    const LoaderOptions with{.batch_size = 4, .drop_last = true, .device = Device::cuda(), .resident = true};
    DataLoader first(tensors, with), second(others, with);
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}), {.capture = capture, .progress = Progress::off});
    std::vector<double> losses;
    for (int i = 0; i < 2; ++i)
      for (DataLoader* loader : {&first, &second}) losses.push_back(trainer.fit(*loader).back().loss);
    return losses;
  };
  EXPECT_EQ(run(true), run(false));
}

// A callback that looks into every third step sees its batch, and the others are captured.
TEST_F(ResidentSteps, LeaveTheBatchToWhoeverLooks) {
  class Looks : public Callback {
   public:
    bool wants_update(const Trainer& trainer) const override { return trainer.step() % 3 == 0; }
    void on_update(Trainer& trainer, std::span<const Batch> batches, const Tensor&) override {
      if (trainer.step() % 3 == 0)
        for (const Batch& batch : batches) seen.push_back(batch.input.sum().item() + batch.target.sum().item());
    }
    std::vector<double> seen;
  };
  const ImageDataset all = images(36);
  const auto run = [&](bool capture) {
    Sequential net = perceptron();
    DataLoader loader(all, options(Device::cuda()));
    const auto looks = std::make_shared<Looks>();
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.epochs = 2, .capture = capture, .progress = Progress::off, .callbacks = {looks}});
    trainer.fit(loader);
    looks->seen.push_back(static_cast<Linear&>(net[1]).weight.sum().item());
    return looks->seen;
  };
  const auto expected = run(false);
  EXPECT_EQ(expected.size(), 5u);
  EXPECT_EQ(run(true), expected);
}

TEST_F(ResidentSteps, StayOrdinaryOnesWithoutMemoryForAGraph) {
  const ImageDataset all = images(36);
  const auto run = [&](bool capture) {
    Sequential net = perceptron();
    DataLoader loader(all, options(Device::cuda()));
    int calls = 0;
    Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                    {.loss =
                         [&](const Tensor& y, const Tensor& labels) {
                           if (++calls == 2 && capture) detail::fail_allocation(2);  // in the recording
                           return cross_entropy(y, labels);
                         },
                     .capture = capture,
                     .progress = Progress::off});
    trainer.fit(loader);
    return static_cast<Linear&>(net[1]).weight.to_vector<float>();
  };
  EXPECT_EQ(run(true), run(false));
}

TEST_F(ResidentSteps, WithTransformsOfBatchesTakeThose) {
  LoaderOptions with = options(Device::cuda());
  with.batch_transforms = {[](Batch& batch, Generator& generator) { batch.input = batch.input * generator.uniform(); }};
  EXPECT_EQ(train(with, {}), train(with, {.capture = false}));
  EXPECT_GE(repetitions, 9);
}

// A loop of one's own, over batches of which the last is smaller.
TEST_F(ResidentSteps, OfOnesOwnMakeTheBatchesOfTheLoader) {
  const ImageDataset all = images(20);
  DataLoader loader(all, options(Device::cuda())), expected(all, options(Device::cuda()));
  ResidentBatches batches(loader);
  int64_t number = 0;
  {
    auto step = capture(
        [&] {
          const Batch batch = batches.make([&] { return number; });
          return std::vector<Tensor>{batch.input * 1, batch.target * 1};
        },
        {.device = Device::cuda(), .mode = [&] { return batches.samples(number); }});
    for (int64_t epoch = 0; epoch < 5; ++epoch) {
      batches.begin(epoch);
      number = 0;
      for (const auto& [input, target] : expected) {
        const std::vector<Tensor> made = step();
        EXPECT_EQ(made[0].to_vector<float>(), input.to_vector<float>()) << epoch << " " << number;
        EXPECT_EQ(made[1].to_vector<int64_t>(), target.to_vector<int64_t>());
        ++number;
      }
      EXPECT_EQ(number, batches.count());
    }
    EXPECT_EQ(step.graphs(), 2);
    EXPECT_EQ(step.recordings(), 2);
    number = 3;
    const ResidentBatches others = std::move(batches);
    EXPECT_EQ(others.make(3).input.shape(), Shape({2, 3, 8, 8}));
  }
}

TEST_F(ResidentSteps, AskForABatchThatIsNotThere) {
  DataLoader loader(images(20), options(Device::cuda()));
  ResidentBatches batches(loader);
  int64_t number = 0;
  auto step = capture([&] { return batches.make([&] { return number; }).target * 1; }, {.device = Device::cuda()});
  for (int i = 0; i < 4; ++i) step();
  number = 3;
  EXPECT_ERROR(step(), ArgumentError,
               "ResidentBatches: batch 3 has 2 samples, expected 6 as when the step was captured");
  number = 4;
  EXPECT_ERROR(step(), ArgumentError, "ResidentBatches: there is no batch 4 (4 batches)");
  number = 1;
  EXPECT_EQ(step().to_vector<int64_t>(), batches.make(1).target.to_vector<int64_t>());
}

}  // namespace
}  // namespace dnn::simt::test
