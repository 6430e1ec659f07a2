// One seed, one result: first weights, dropout masks and shuffled batches are those of the CPU, to the last bit.
#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Chance : public OnDevice {};

std::vector<float> floats(const Tensor& t) { return t.to(Device::cpu()).to(DType::float32).to_vector<float>(); }

TEST_P(Chance, FirstWeightsAreThoseOfTheCpu) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    manual_seed(9);
    const std::unique_ptr<Layer> here = task.net();
    manual_seed(9);
    const std::unique_ptr<Layer> there = task.net();
    there->to(device());
    const StateDict expected = here->state_dict();
    for (const auto& [name, tensor] : there->state_dict()) {
      EXPECT_EQ(tensor.device(), device()) << name;
      EXPECT_EQ(floats(tensor), floats(expected.at(name))) << name;
    }
  }
}

TEST_P(Chance, DropoutMasksAreThoseOfTheCpu) {
  for (const Shape& shape : {Shape{7}, Shape{64, 33}, Shape{5, 3, 17}, Shape{4, 16, 9, 7}, Shape{2, 3, 32, 32}}) {
    SCOPED_TRACE(shape.str());
    for (const double p : {0.1, 0.5, 0.9}) {
      manual_seed(21);
      const std::vector<float> expected = floats(dropout(ones(shape), {.p = p}));
      manual_seed(21);
      EXPECT_EQ(floats(dropout(ones(shape, {.device = device()}), {.p = p})), expected);
    }
  }
  manual_seed(22);
  const std::vector<float> expected = floats(dropout2d(ones({8, 16, 5, 5})));
  manual_seed(22);
  EXPECT_EQ(floats(dropout2d(ones({8, 16, 5, 5}, {.device = device()}))), expected);
}

// Behind a convolution an activation may lie in the layout that the device likes best.
TEST_P(Chance, DropoutBehindAConvolutionDropsTheSameElements) {
  const Tensor x = ones({2, 3, 8, 8}), weight = ones({16, 3, 3, 3});
  const auto dropped = [&](Device where) {
    manual_seed(23);
    std::vector<bool> zero;
    for (const float value : floats(dropout(conv2d(x.to(where), weight.to(where), {}, {.padding = 1}))))
      zero.push_back(value == 0);
    return zero;
  };
  EXPECT_EQ(dropped(device()), dropped(Device::cpu()));
}

TEST_P(Chance, RandomNumbersAreThoseOfTheCpu) {
  const auto numbers = [](Device where, const auto& make) {
    manual_seed(24);
    return floats(make(TensorOptions{.device = where}));
  };
  const auto uniform = [](const TensorOptions& options) { return rand({1001}, options); };
  EXPECT_EQ(numbers(device(), uniform), numbers(Device::cpu(), uniform));
  // Normal ones go through a logarithm and a cosine, which each device rounds in its own way.
  const auto normal = [](const TensorOptions& options) { return randn({1001}, options); };
  const std::vector<float> there = numbers(device(), normal), here = numbers(Device::cpu(), normal);
  for (size_t i = 0; i < here.size(); ++i) ASSERT_NEAR(there[i], here[i], 1e-5) << i;
}

TEST_P(Chance, ShuffledBatchesAreThoseOfTheCpu) {
  const SyntheticDigits digits(50, 4);
  const auto batches = [&](Device where, int threads) {
    DataLoader loader(digits, {.batch_size = 8, .shuffle = true, .seed = 6, .threads = threads, .device = where});
    std::vector<std::vector<float>> result;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const auto& [images, labels] : loader) {
        EXPECT_EQ(images.device(), where);
        EXPECT_EQ(labels.device(), where);
        result.push_back(floats(images));
        result.push_back(floats(labels));
      }
    return result;
  };
  const auto expected = batches(Device::cpu(), 0);
  EXPECT_EQ(expected.size(), 28u);
  EXPECT_EQ(batches(device(), 0), expected);
  EXPECT_EQ(batches(device(), 2), expected);
}

DNN_ON_DEVICES(Chance);

}  // namespace
}  // namespace dnn::test
