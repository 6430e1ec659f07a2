// What the tests of tests/gpu share: cases that run on a GPU, and on the CPU in its place, so that their own code is
// tried on machines without one; the networks and the data they train with.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dnn/dnn.h"

namespace dnn::test {

// The parameter is the device under test. Without a GPU its instances are skipped by name and reason.
class OnDevice : public ::testing::TestWithParam<DeviceType> {
 protected:
  void SetUp() override {
    if (device_count(GetParam()) == 0) GTEST_SKIP() << why_unavailable(GetParam());
    allow_tf32({.convolution = false, .product = false});
    manual_seed(1);
  }
  Device device() const { return GetParam(); }
};

inline std::string device_name(const ::testing::TestParamInfo<DeviceType>& info) {
  return Device(info.param).str().substr(0, 4);
}

// Each suite is instantiated as Devices/<suite>.<case>/cuda and .../cpu.
#define DNN_ON_DEVICES(suite) \
  INSTANTIATE_TEST_SUITE_P(Devices, suite, ::testing::Values(DeviceType::cuda, DeviceType::cpu), device_name)

// A network that classifies, and data for it.
struct Task {
  std::string name;
  std::function<std::unique_ptr<Layer>()> net;
  Shape sample;          // of one input
  int64_t batch = 8;     // samples of a step
  double lr = 0.01;      // of SGD with momentum 0.9
  double tolerance = 0;  // of a loss on another device, relative, in 50 steps: see loss_curves_test.cpp
};

inline const std::vector<Task>& tasks() {
  static const std::vector<Task> all{
      {"lenet5", [] { return std::make_unique<Sequential>(lenet5()); }, {1, 28, 28}, 16, 0.07, 1e-3},
      {"resnet20", [] { return std::make_unique<ResNetCifar>(resnet_cifar(20)); }, {3, 32, 32}, 16, 0.004, 5e-2},
      {"lstm",
       [] {
         return std::make_unique<Sequential>(
             LSTM(12, 32, {.layers = 2, .batch_first = true, .return_sequences = false}), Dropout(0.1), Linear(32, 10));
       },
       {20, 12},
       16,
       0.5,
       1e-3},
  };
  return all;
}

// Batch `step` of a task: one of ten patterns for each sample, under noise. The same on every device.
inline Batch batch_of(const Task& task, int64_t step, Device device) {
  Generator pattern_generator(77), generator(1000 + static_cast<uint64_t>(step));
  const int64_t size = task.sample.numel();
  std::vector<float> patterns(static_cast<size_t>(10 * size));
  for (float& value : patterns) value = static_cast<float>(2 * pattern_generator.uniform() - 1);
  std::vector<float> values(static_cast<size_t>(task.batch * size));
  std::vector<int64_t> labels(static_cast<size_t>(task.batch));
  for (int64_t i = 0; i < task.batch; ++i) {
    const auto label = static_cast<int64_t>(generator.below(10));
    labels[static_cast<size_t>(i)] = label;
    for (int64_t k = 0; k < size; ++k)
      values[static_cast<size_t>(i * size + k)] =
          patterns[static_cast<size_t>(label * size + k)] + static_cast<float>(generator.uniform() - 0.5);
  }
  std::vector<int64_t> sizes{task.batch};
  for (int i = 0; i < task.sample.rank(); ++i) sizes.push_back(task.sample[i]);
  return {from_values(values, Shape(sizes)).to(device), from_values(labels, {task.batch}).to(device)};
}

// A network under training on a device.
class Training {
 public:
  Training(const Task& task, Device device) : task_(task), device_(device) {
    manual_seed(1);
    net_ = task.net();
    net_->to(device);
    sgd_ = std::make_unique<SGD>(net_->parameters(), SgdOptions{.lr = task.lr, .momentum = 0.9});
  }
  // One step; its loss stays on the device.
  Tensor step(const Batch& batch) {
    sgd_->zero_grad();
    const Tensor loss = cross_entropy((*net_)(batch.input), batch.target);
    loss.backward();
    sgd_->step();
    return loss.detach();
  }
  Tensor step() { return step(batch_of(task_, steps_++, device_)); }
  Layer& net() { return *net_; }
  SGD& sgd() { return *sgd_; }

 private:
  const Task& task_;
  Device device_;
  std::unique_ptr<Layer> net_;
  std::unique_ptr<SGD> sgd_;
  int64_t steps_ = 0;
};

}  // namespace dnn::test
