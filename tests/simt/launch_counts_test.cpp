// How many launches a training step takes: forward, loss, backward and an update by SGD with momentum, counted on an
// emulated GPU of 132 multiprocessors, since how a reduction is split depends on their number.
//
// What a small net's step costs on a GPU is its launches, a few microseconds each, whatever they compute; so their
// numbers are pinned. A number that rises is a step that got slower, one that falls shall be written down here. Kernels
// and calls of libraries count alike. Whole networks of fewer channels and smaller images launch what full ones do.
#include <gmock/gmock.h>

#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "cuda/context.h"
#include "dnn/dnn.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using cuda::Context;

const Device device = Device::cuda(1);

// What one step put on the stream.
struct StepCount {
  std::map<std::string, int64_t> kernels;
  std::map<std::string, int64_t> moves;  // copies and fills without a kernel
  int64_t library = 0;

  int64_t launches() const {
    return std::accumulate(kernels.begin(), kernels.end(), library,
                           [](int64_t sum, const auto& entry) { return sum + entry.second; });
  }
  std::string table() const {
    std::string text = "calls of libraries: " + std::to_string(library) + "\n";
    for (const auto* list : {&kernels, &moves})
      for (const auto& [name, count] : *list) text += name + ": " + std::to_string(count) + "\n";
    return text;
  }
};

class LaunchCounts : public ::testing::Test {
 protected:
  LaunchCounts() : context_(context()) { set_order(Order::forward); }
  ~LaunchCounts() override { set_order(Order::every); }

  // The third of three equal steps: the first two choose plans and make the states.
  StepCount step_of(Layer& net, const Shape& input, DType type = DType::float32) {
    net.to(device);
    SGD sgd(net.parameters(), {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4});
    const Tensor x = rand(input).to(device), labels = zeros({input[0]}, {.dtype = DType::int64}).to(device);
    const auto step = [&] {
      sgd.zero_grad();
      Tensor loss;
      {
        const Autocast autocast(type);
        loss = cross_entropy(net(x), labels);
      }
      loss.backward();
      sgd.step();
    };
    return count([&] { step(), step(); }, step);
  }

  template <class First, class Step>
  StepCount count(const First& first, const Step& step) {
    first();
    synchronize(device);
    const int64_t before = context_.counters().launches;
    start_trace();
    step();
    const int64_t launches = context_.counters().launches - before;
    synchronize(device);
    StepCount result;
    for (const std::string& name : take_trace()) {
      const bool move = name == "upload" || name == "download" || name == "copy" || name == "fill";
      ++(move ? result.moves : result.kernels)[name];
    }
    result.library = launches - result.launches();
    return result;
  }

 private:
  static Context& context() {
    Machine machine;
    machine.multiprocessors = 132;
    set_machine(machine);
    Context& result = Context::of(device.index());
    set_machine({});
    return result;
  }

  Context& context_;
};

TEST_F(LaunchCounts, TheGpuIsALargeOne) { EXPECT_EQ(Context::of(device.index()).multiprocessors(), 132); }

TEST_F(LaunchCounts, AnMlp) {
  Sequential net = mlp({.hidden = {512, 256}, .dropout = 0});
  const StepCount step = step_of(net, {128, 1, 28, 28});
  EXPECT_EQ(step.launches(), 10) << step.table();
}

TEST_F(LaunchCounts, LeNet5) {
  Sequential net = lenet5();
  const StepCount step = step_of(net, {128, 1, 28, 28});
  EXPECT_EQ(step.launches(), 16) << step.table();
}

TEST_F(LaunchCounts, LeNet5In16Bits) {
  Sequential net = lenet5();
  const StepCount step = step_of(net, {128, 1, 28, 28}, DType::bfloat16);
  EXPECT_EQ(step.launches(), 19) << step.table() << "\nthree of them cast the images, the logits and their gradient";
}

TEST_F(LaunchCounts, ResNet20) {
  ResNetCifar net = resnet_cifar(20, {.width = 4});
  const StepCount step = step_of(net, {4, 3, 32, 32});
  EXPECT_EQ(step.launches(), 195) << step.table();
}

TEST_F(LaunchCounts, ResNet50) {
  ResNet net = resnet50({.classes = 10, .width = 8});
  const StepCount step = step_of(net, {2, 3, 64, 64});
  EXPECT_EQ(step.launches(), 415) << step.table();
}

// What the Trainer adds to a step: sums of losses and the accuracy.
TEST_F(LaunchCounts, AStepOfTheTrainer) {
  Sequential net = mlp({.hidden = {16}, .dropout = 0});
  StepCount step;
  const auto count_steps = [&](int64_t steps) {
    DataLoader loader(TensorDataset(rand({steps * 128, 1, 28, 28}), zeros({steps * 128}, {.dtype = DType::int64})),
                      {.batch_size = 128});
    Trainer trainer(net, std::make_shared<SGD>(net.parameters(), SgdOptions{.lr = 0.01, .momentum = 0.9}),
                    {.capture = false, .progress = Progress::off});
    trainer.fit(loader);
  };
  net.to(device);
  const StepCount few = count([&] { count_steps(2); }, [&] { count_steps(3); });
  const StepCount many = count([&] { count_steps(2); }, [&] { count_steps(5); });
  EXPECT_EQ((many.launches() - few.launches()) / 2, 9) << many.table() << "\nand two steps less:\n" << few.table();
}

}  // namespace
}  // namespace dnn::simt::test
