// Training in 16 bits on the emulated GPU: losses follow float32's, and runs resume.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dnn/dnn.h"
#include "tests/harness/errors.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using List = std::vector<double>;

const TensorOptions there{.device = Device::cuda()};

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }

class MixedTraining : public ::testing::Test {
 protected:
  MixedTraining() { set_order(Order::forward); }
  ~MixedTraining() override { set_order(Order::every); }
};

// Images of four classes that differ in one quarter's brightness.
TensorDataset images(int64_t count, int64_t channels, int64_t size) {
  Generator generator(7);
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<int64_t>(generator.below(4)));
    for (int64_t k = 0; k < channels * size * size; ++k) {
      const int64_t row = k / size % size, column = k % size;
      const bool bright = (row >= size / 2 ? 2 : 0) + (column >= size / 2 ? 1 : 0) == labels.back();
      pixels.push_back(static_cast<float>(generator.uniform() + (bright ? 1 : 0)));
    }
  }
  return {from_values(pixels, {count, channels, size, size}), from_values(labels, {count})};
}

class Losses : public Callback {
 public:
  void on_update(Trainer&, std::span<const Batch>, const Tensor& loss) override { losses.push_back(loss); }
  List numbers() const {
    List all;
    for (const Tensor& loss : losses) all.push_back(loss.item());
    return all;
  }
  std::vector<Tensor> losses;
};

struct Course {
  std::function<std::unique_ptr<Layer>()> net;
  int64_t channels = 1, size = 28, steps = 6, accumulate = 1;
  double clip_norm = 0;
};

// The losses of a run, and at its end what the Trainer says.
List train(const Course& run, Arithmetic precision, const std::function<void(Trainer&)>& at_end = {}) {
  manual_seed(3);
  const std::unique_ptr<Layer> net = run.net();
  const auto losses = std::make_shared<Losses>();
  DataLoader loader(images(run.steps * run.accumulate * 4, run.channels, run.size), {.batch_size = 4});
  Trainer trainer(*net, SGD(net->parameters(), {.lr = 0.05, .momentum = 0.9}),
                  {.device = Device::cuda(),
                   .accumulate = run.accumulate,
                   .clip_norm = run.clip_norm,
                   .precision = precision,
                   .progress = Progress::off,
                   .callbacks = {losses, std::make_shared<StopOnNaN>()}});
  trainer.fit(loader);
  if (at_end) at_end(trainer);
  return losses->numbers();
}

void expect_follows(const List& actual, const List& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance * (1 + expected[i])) << i;
}

template <class Net>
std::unique_ptr<Layer> boxed(Net net) {
  return std::make_unique<Net>(std::move(net));
}

const Course lenet{.net = [] { return boxed(lenet5({.classes = 4})); }};
const Course small_resnet{
    .net = [] { return boxed(resnet_cifar(8, {.classes = 4, .width = 4})); }, .channels = 3, .size = 16, .steps = 4};

TEST_F(MixedTraining, LeNetLearnsIn16BitsAsInFloat32) {
  const List expected = train(lenet, Arithmetic::float32);
  expect_follows(train(lenet, Arithmetic::bfloat16), expected, 0.02);
  expect_follows(train(lenet, Arithmetic::float16), expected, 0.005);
}

TEST_F(MixedTraining, AResNetLearnsIn16BitsAsInFloat32) {
  Course run = small_resnet;
  run.clip_norm = 1;
  const List expected = train(run, Arithmetic::float32);
  expect_follows(train(run, Arithmetic::bfloat16), expected, 0.08);
  expect_follows(train(run, Arithmetic::float16), expected, 0.02);
}

TEST_F(MixedTraining, AccumulatedGradientsAreSummedInFloat32) {
  Course run = lenet;
  run.accumulate = 2, run.steps = 3;
  const List expected = train(run, Arithmetic::float32);
  const auto check = [](Trainer& trainer) {
    for (const Tensor& p : trainer.optimizer().parameters()) EXPECT_EQ(p.grad().dtype(), DType::float32);
  };
  expect_follows(train(run, Arithmetic::bfloat16, check), expected, 0.02);
}

TEST_F(MixedTraining, OutputsOfATrainerAreFloat32) {
  Course run = lenet;
  run.steps = 2;
  train(run, Arithmetic::bfloat16, [](Trainer& trainer) {
    DataLoader loader(images(8, 1, 28), {.batch_size = 4});
    const Tensor x = randn({2, 1, 28, 28}, there);
    EXPECT_EQ(trainer.predict(x).dtype(), DType::float32);
    EXPECT_EQ(trainer.predict(loader).dtype(), DType::float32);
    EXPECT_EQ(trainer.predict_classes(x).shape(), Shape({2}));
    const Evaluation narrow = trainer.evaluate(loader);
    EXPECT_EQ(narrow.loss, evaluate(trainer.net(), loader, {.precision = Arithmetic::bfloat16}).loss);
    EXPECT_NEAR(narrow.loss, evaluate(trainer.net(), loader).loss, 0.05);
    for (const Tensor& p : trainer.net().parameters()) EXPECT_EQ(p.dtype(), DType::float32);
  });
}

// A run in float16 whose first steps overflow, whole and in two parts.
TEST_F(MixedTraining, ARunInFloat16ResumesBitForBit) {
  const std::string file = ::testing::TempDir() + "autocast_resume.safetensors";
  const auto run = [&](int64_t stop_at, bool resume, StateDict* left) {
    manual_seed(resume ? 99 : 3);
    Sequential net(Flatten(), Linear(64, 8), ReLU(), Linear(8, 4));
    DataLoader loader(images(32, 1, 8), {.batch_size = 4, .shuffle = true, .seed = 1});
    class Stop : public Callback {
     public:
      explicit Stop(int64_t at) : at_(at) {}
      void on_step_end(Trainer& trainer) override {
        if (trainer.step() == at_) trainer.stop();
      }

     private:
      int64_t at_;
    };
    TrainerOptions options{.epochs = 1,
                           .device = Device::cuda(),
                           .clip_norm = 1,
                           .precision = Arithmetic::float16,
                           .progress = Progress::off,
                           .checkpoint = file,
                           .callbacks = {std::make_shared<Stop>(stop_at)}};
    // A loss so large that its gradients overflow until the scale has come down a few times.
    options.loss = [](const Tensor& y, const Tensor& labels) { return cross_entropy(y, labels) * 8; };
    Trainer trainer(net, Adam(net.parameters(), {.lr = 1e-3}), options);
    if (resume) trainer.resume(file);
    trainer.fit(loader);
    for (const auto& [name, tensor] : net.state_dict()) left->insert("net." + name, tensor.to(Device::cpu()));
    for (const auto& [name, tensor] : trainer.optimizer().state_dict()) left->insert(name, tensor.to(Device::cpu()));
    left->insert("scale", full({}, trainer.scaler().factor()));
  };
  StateDict whole;
  run(-1, false, &whole);
  EXPECT_LT(whole.at("scale").item(), 65536);
  EXPECT_LT(whole.at("0.step").item(), 8) << "some steps were skipped";
  EXPECT_GT(whole.at("0.step").item(), 0) << "and some were not";
  for (const int64_t stop : {1, 3}) {
    StateDict part, resumed;
    run(stop, false, &part);
    run(-1, true, &resumed);
    ASSERT_EQ(resumed.size(), whole.size());
    for (const auto& [name, tensor] : whole) EXPECT_EQ(values(resumed.at(name)), values(tensor)) << name;
  }
}

TEST_F(MixedTraining, ATrainerOnACpuRefusesEverythingButFloat32) {
  Sequential net(Linear(2, 2));
  for (const Arithmetic precision : {Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16})
    EXPECT_ERROR(Trainer(net, SGD(net.parameters(), {.lr = 0.1}), {.precision = precision}), DeviceError,
                 std::string("precision ") + name_of(precision) + " is there on GPUs alone, expected float32 on a CPU");
  Trainer trainer(net, SGD(net.parameters(), {.lr = 0.1}),
                  {.device = Device::cuda(), .precision = Arithmetic::bfloat16});
  net.to(Device::cpu());
  DataLoader loader(TensorDataset(ones({2, 2}), zeros({2}, {.dtype = DType::int64})));
  EXPECT_THROW(trainer.fit(loader), DeviceError);
  EXPECT_THROW(evaluate(net, loader, {.precision = Arithmetic::float16}), DeviceError);
}

TEST_F(MixedTraining, Tf32HoldsForTheRunAlone) {
  Course run = lenet;
  run.steps = 1;
  const Tf32 before = tf32_allowed();
  allow_tf32({.convolution = false, .product = true});
  train(run, Arithmetic::tf32);
  EXPECT_EQ(tf32_allowed(), (Tf32{.convolution = false, .product = true}));
  allow_tf32(before);
}

}  // namespace
}  // namespace dnn::simt::test
