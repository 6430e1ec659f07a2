// Training on the emulated GPU through layers, optimizers and the Trainer: no step waits for the device or asks for
// more memory, and the losses are the CPU's.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/kernels/runtime.h"
#include "cuda/context.h"
#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using cuda::Context;

constexpr int64_t classes = 4, batch_size = 4;

// Random images with random classes.
TensorDataset images(int64_t count, int64_t channels, int64_t size) {
  Generator generator(7);
  std::vector<float> pixels(static_cast<size_t>(count * channels * size * size));
  for (float& pixel : pixels) pixel = static_cast<float>(generator.uniform());
  std::vector<int64_t> labels(static_cast<size_t>(count));
  for (int64_t& label : labels) label = static_cast<int64_t>(generator.below(classes));
  return {from_values(pixels, {count, channels, size, size}), from_values(labels, {count})};
}

// What a step did: the host's waits in it, the memory after it.
struct StepNote {
  int64_t host_waits = 0, machine_waits = 0, allocations = 0, in_use = 0;
};

// Notes each step; the losses it keeps are read after training.
class Notes : public Callback {
 public:
  void on_step_begin(Trainer& trainer) override {
    device_ = trainer.device();
    before_ = now();
  }
  void on_update(Trainer&, std::span<const Batch>, const Tensor& loss) override { losses_.push_back(loss); }
  void on_step_end(Trainer&) override {
    StepNote note = now();
    note.host_waits -= before_.host_waits;
    note.machine_waits -= before_.machine_waits;
    note.allocations -= before_.allocations;
    steps.push_back(note);
  }
  std::vector<double> losses() const {
    std::vector<double> values;
    for (const Tensor& loss : losses_) values.push_back(loss.item());
    return values;
  }
  std::vector<StepNote> steps;

 private:
  StepNote now() const {
    const Counters machine = counters();
    return {host_waits(device_), machine.waits, machine.allocations, memory_stats(device_).in_use};
  }
  Device device_;
  StepNote before_;
  std::vector<Tensor> losses_;
};

struct Recipe {
  std::function<std::unique_ptr<Layer>()> net;
  std::function<std::shared_ptr<Optimizer>(Layer&)> optimizer;
  int64_t channels = 1, size = 28;
  double clip_norm = 0;
  int64_t accumulate = 1;
  LrSchedule lr_schedule = {};
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  Arithmetic precision = Arithmetic::float32;
};

template <class Net>
std::unique_ptr<Layer> boxed(Net net) {
  return std::make_unique<Net>(std::move(net));
}

std::unique_ptr<Layer> small_resnet() { return boxed(resnet_cifar(8, {.classes = classes, .width = 4})); }

std::shared_ptr<Notes> train(const Recipe& recipe, Device device, int64_t steps) {
  manual_seed(3);
  const std::unique_ptr<Layer> net = recipe.net();
  net->to(device);
  const auto notes = std::make_shared<Notes>();
  std::vector<std::shared_ptr<Callback>> callbacks = recipe.callbacks;
  callbacks.push_back(notes);
  DataLoader loader(images(steps * recipe.accumulate * batch_size, recipe.channels, recipe.size),
                    {.batch_size = batch_size});
  Trainer trainer(*net, recipe.optimizer(*net),
                  {.metrics = {std::make_shared<TopKAccuracy>(2), std::make_shared<F1>()},
                   .lr_schedule = recipe.lr_schedule,
                   .accumulate = recipe.accumulate,
                   .clip_norm = recipe.clip_norm,
                   .precision = recipe.precision,
                   .progress = Progress::off,
                   .callbacks = callbacks});
  trainer.fit(loader);
  return notes;
}

class TrainStep : public ::testing::Test {
 protected:
  TrainStep() {
    set_order(Order::forward);
    Context::of(0).memory().set_caching(true);
  }
  ~TrainStep() override {
    Context::of(0).memory().set_caching(false);
    set_order(Order::every);
  }
  // The first step chooses plans, for which the host may wait. The first two make states, tables and blocks; from the
  // third on a step must be like the one before.
  static void expect_no_waits(const Notes& notes, int64_t kept_per_step = 0) {
    ASSERT_GE(notes.steps.size(), 5u);
    for (size_t i = 0; i < notes.steps.size(); ++i) {
      if (i < 1) continue;
      EXPECT_EQ(notes.steps[i].host_waits, 0) << "step " << i;
      EXPECT_EQ(notes.steps[i].machine_waits, 0) << "step " << i;
      if (i < 3) continue;
      EXPECT_EQ(notes.steps[i].allocations, 0) << "step " << i;
      EXPECT_EQ(notes.steps[i].in_use, notes.steps[i - 1].in_use + kept_per_step) << "step " << i;
    }
  }
  static void expect_same_losses(const std::vector<double>& gpu, const std::vector<double>& cpu, double tolerance) {
    ASSERT_EQ(gpu.size(), cpu.size());
    for (size_t i = 0; i < cpu.size(); ++i) EXPECT_NEAR(gpu[i], cpu[i], tolerance * (1 + std::fabs(cpu[i]))) << i;
  }
};

constexpr int64_t loss_bytes = 4;  // the notes keep one loss of a step

TEST_F(TrainStep, LeNetWithMomentumNeitherWaitsNorGrows) {
  const Recipe recipe{.net = [] { return boxed(lenet5({.classes = classes})); },
                      .optimizer = [](Layer& net) -> std::shared_ptr<Optimizer> {
                        return std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.9});
                      }};
  const auto gpu = train(recipe, Device::cuda(), 6);
  expect_no_waits(*gpu, loss_bytes);
  expect_same_losses(gpu->losses(), train(recipe, Device::cpu(), 6)->losses(), 1e-4);
}

TEST_F(TrainStep, AResNetWithAdamWAndClippedGradientsNeitherWaitsNorGrows) {
  const Recipe recipe{.net = small_resnet,
                      .optimizer = [](Layer& net) -> std::shared_ptr<Optimizer> {
                        return std::make_shared<AdamW>(net.parameters(), AdamWOptions{.lr = 1e-3});
                      },
                      .channels = 3,
                      .size = 32,
                      .clip_norm = 1};
  const auto gpu = train(recipe, Device::cuda(), 5);
  expect_no_waits(*gpu, loss_bytes);
  expect_same_losses(gpu->losses(), train(recipe, Device::cpu(), 5)->losses(), 2e-3);
}

TEST_F(TrainStep, TrainingIn16BitsNeitherWaitsNorGrows) {
  Recipe recipe{.net = small_resnet,
                .optimizer = [](Layer& net) -> std::shared_ptr<Optimizer> {
                  return std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.9});
                },
                .channels = 3,
                .size = 16,
                .clip_norm = 1};
  for (const Arithmetic precision : {Arithmetic::bfloat16, Arithmetic::float16}) {
    recipe.precision = precision;
    expect_no_waits(*train(recipe, Device::cuda(), 6), loss_bytes);
  }
}

Recipe small_recipe() {
  return {.net = [] { return boxed(Sequential(Flatten(), Linear(64, classes))); },
          .optimizer = [](Layer& net) -> std::shared_ptr<Optimizer> {
            return std::make_shared<RMSprop>(net.parameters(), RmspropOptions{});
          },
          .size = 8};
}

TEST_F(TrainStep, AccumulatedGradientsSchedulesAndAveragesDoNotWaitEither) {
  Recipe recipe = small_recipe();
  recipe.clip_norm = 0.5;
  recipe.accumulate = 2;
  recipe.lr_schedule = [](double progress) { return 1 - progress / 2; };
  recipe.callbacks.push_back(std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.9}));
  const auto gpu = train(recipe, Device::cuda(), 6);
  expect_no_waits(*gpu, loss_bytes);
  recipe.callbacks = {std::make_shared<AverageWeights>(AverageWeightsOptions{.decay = 0.9})};
  expect_same_losses(gpu->losses(), train(recipe, Device::cpu(), 6)->losses(), 1e-4);
}

TEST_F(TrainStep, TheProgressBarReadsTheLossOnlyWhenItIsDrawn) {
  std::ostringstream terminal;
  Recipe recipe = small_recipe();
  recipe.callbacks.push_back(
      std::make_shared<Progress>(ProgressOptions{.mode = Progress::bar, .stream = &terminal, .interval = 1e6}));
  const auto gpu = train(recipe, Device::cuda(), 6);
  for (size_t i = 0; i + 1 < gpu->steps.size(); ++i) EXPECT_EQ(gpu->steps[i].host_waits, 0) << i;
  EXPECT_GT(gpu->steps.back().host_waits, 0) << "the full bar at the end of the epoch";
  EXPECT_THAT(terminal.str(), testing::HasSubstr("loss"));
}

TEST_F(TrainStep, StopOnNaNWaitsWhenItLooks) {
  Recipe recipe = small_recipe();
  recipe.callbacks.push_back(std::make_shared<StopOnNaN>(StopOnNaNOptions{.every = 3}));
  const auto gpu = train(recipe, Device::cuda(), 6);
  for (size_t i = 0; i < gpu->steps.size(); ++i) EXPECT_EQ(gpu->steps[i].host_waits, i % 3 == 0 ? 1 : 0) << i;
}

}  // namespace
}  // namespace dnn::simt::test
