// Bad labels and indices: the errors of the CPU, on a GPU at the next wait, and everything is usable after them.
#include "tests/harness/errors.h"

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

class Errors : public OnDevice {
 protected:
  // What IndexError says, thrown by the action or by the wait after it; empty when there is none.
  static std::string fault(Device where, const std::function<void(Device)>& action) {
    try {
      action(where);
      synchronize(where);
    } catch (const IndexError& error) {
      return error.what();
    }
    return "";
  }
  void expect_the_cpus(const std::function<void(Device)>& action) const {
    const std::string expected = fault(Device::cpu(), action);
    EXPECT_NE(expected, "") << "the CPU finds nothing wrong";
    EXPECT_EQ(fault(device(), action), expected);
    EXPECT_NO_THROW(synchronize(device())) << "an error is reported once";
    EXPECT_EQ((ones({8}, {.device = device()}) * 3).sum().item(), 24) << "the device is usable after it";
  }
};

Tensor indices(std::vector<int64_t> values, Device where) {
  const auto count = static_cast<int64_t>(values.size());
  return from_values(values, {count}).to(where);
}

TEST_P(Errors, BadLabels) {
  for (const std::vector<int64_t>& labels : {std::vector<int64_t>{0, 1, 7, 2}, {-3, 1, 0, 9}, {2, 2, 2, 3}})
    expect_the_cpus([&](Device where) { cross_entropy(zeros({4, 3}, {.device = where}), indices(labels, where)); });
}

TEST_P(Errors, ABadLabelInTheMiddleOfTraining) {
  const Task& task = tasks().front();
  Training training(task, device());
  const Batch good = batch_of(task, 0, device());
  training.step(good);
  const Batch bad{good.input, full({task.batch}, 10, {.dtype = DType::int64, .device = device()})};
  EXPECT_EQ(fault(device(), [&](Device) { training.step(bad); }),
            "cross_entropy: label 10 at position 0, expected 0 <= label < 10");
  EXPECT_NO_THROW(synchronize(device()));
}

TEST_P(Errors, BadIndices) {
  expect_the_cpus([](Device where) { index_select(ones({5, 2}, {.device = where}), 0, indices({0, 5}, where)); });
  expect_the_cpus([](Device where) { gather(ones({5}, {.device = where}), 0, indices({-6, 1}, where)); });
  expect_the_cpus([](Device where) { embedding(indices({1, 2, 30}, where), ones({5, 2}, {.device = where})); });
  expect_the_cpus([](Device where) {
    scatter_add(zeros({5}, {.device = where}), 0, indices({0, 9}, where), ones({2}, {.device = where}));
  });
}

TEST_P(Errors, ADeviceThatDoesNotExist) {
  const int count = device_count(DeviceType::cuda);
  if (count == 0) {
    EXPECT_ERROR(ones({2}).to(Device::cuda(1)), DeviceError,
                 "device: cuda:1 is not available: " + why_unavailable(DeviceType::cuda));
  } else {
    EXPECT_ERROR(
        ones({2}).to(Device::cuda(count)), DeviceError,
        "device: cuda:" + std::to_string(count) + " does not exist, expected an index below " + std::to_string(count));
  }
}

DNN_ON_DEVICES(Errors);

}  // namespace
}  // namespace dnn::test
