// Checkpoints cross devices: what was saved on one loads on the other and computes the same.
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Checkpoints : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    folder_ = std::filesystem::temp_directory_path() / ("dnn_gpu_checkpoint_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Trains on one device, saves, loads on the other, compares the state and the next step.
  void carry_over(const Task& task, Device from, Device to) {
    Training before(task, from), after(task, to);
    for (int i = 0; i < 3; ++i) before.step();
    const std::string path = folder_ / (task.name + ".safetensors");
    save_checkpoint(path, before.net(), before.sgd());
    load_checkpoint(path, after.net(), after.sgd());
    const auto same = [](const StateDict& a, const StateDict& b) {
      ASSERT_EQ(a.size(), b.size());
      for (const auto& [name, tensor] : a)
        EXPECT_EQ(tensor.to(Device::cpu()).to(DType::float64).to_vector<double>(),
                  b.at(name).to(Device::cpu()).to(DType::float64).to_vector<double>())
            << name;
    };
    same(after.net().state_dict(), before.net().state_dict());
    same(after.sgd().state_dict(), before.sgd().state_dict());
    for (const auto& [name, tensor] : after.net().state_dict()) EXPECT_EQ(tensor.device(), to) << name;

    const Batch batch = batch_of(task, 50, Device::cpu());
    const Tensor here = predict(before.net(), batch.input.to(from)).to(Device::cpu());
    const Tensor there = predict(after.net(), batch.input.to(to)).to(Device::cpu());
    const std::vector<float> expected = here.to_vector<float>(), found = there.to_vector<float>();
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], 1e-4 * (1 + std::abs(expected[i]))) << i;

    manual_seed(5);
    const double one = before.step({batch.input.to(from), batch.target.to(from)}).item();
    manual_seed(5);
    const double other = after.step({batch.input.to(to), batch.target.to(to)}).item();
    EXPECT_NEAR(one, other, 1e-4 * (1 + one));
  }

  std::filesystem::path folder_;
};

TEST_P(Checkpoints, OfTheDeviceLoadOnTheCpu) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    carry_over(task, device(), Device::cpu());
  }
}

TEST_P(Checkpoints, OfTheCpuLoadOnTheDevice) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    carry_over(task, Device::cpu(), device());
  }
}

DNN_ON_DEVICES(Checkpoints);

}  // namespace
}  // namespace dnn::test
