// Making the rows known to GoogleTest: which aspects each has, on which devices.
#include <gtest/gtest.h>

#include "dnn/device.h"
#include "tests/harness/trial.h"

namespace dnn::test {

namespace {

std::string device_label(Device device) {
#ifdef DNN_TEST_SIMT
  if (device.is_cuda()) return "simt";
#endif
  return device.is_cpu() ? "cpu" : "cuda";
}

class AspectTest : public ::testing::Test {
 public:
  AspectTest(const Row& row, std::string aspect, Device device)
      : row_(row), aspect_(std::move(aspect)), device_(device) {}
  void TestBody() override {
    if (device_count(device_.type()) == 0) GTEST_SKIP() << why_unavailable(device_.type());
    if (const auto reason = row_.skip.find(aspect_); reason != row_.skip.end()) GTEST_SKIP() << reason->second;
    run_aspect(row_, aspect_, device_);
  }

 private:
  const Row& row_;
  std::string aspect_;
  Device device_;
};

}  // namespace

std::vector<std::string> aspects_of(const Row& row, Device device) {
  std::vector<std::string> aspects{"float64.forward"};
  bool any = false;
  for (const Sample& sample : row.samples)
    for (const Input& input : sample.inputs) any = any || (input.differentiable && row.differentiable);
  if (any) aspects.push_back("float64.gradient");
  for (const DType type : row.floating) aspects.push_back(name_of(type));
  for (const DType type : row.integers) aspects.push_back(name_of(type));
  for (const auto& [name, layout] : other_layouts) {
    if (!device_has(device, layout)) continue;
    bool able = false;
    for (const Sample& sample : row.samples)
      for (const Input& input : sample.inputs)
        able = able || (input.activation && !input.dtype && takes_layout(input.shape, DType::float32, layout, device));
    if (able) aspects.push_back(name);
  }
  if (!row.samples.front().inputs.empty()) aspects.push_back("strided");
  if (any) aspects.insert(aspects.end(), {"accumulation", "partial", "saved"});
  return aspects;
}

std::vector<Device> table_devices() {
#ifdef DNN_TEST_SIMT
  return {Device::cuda()};
#else
  return {Device::cpu(), Device::cuda()};
#endif
}

void register_tests() {
  for (const Row& row : table())
    for (const Device device : table_devices()) {
      // Without a GPU one skipped test a row says why.
      const bool available = device_count(device.type()) > 0;
      for (const std::string& aspect : available ? aspects_of(row, device) : std::vector<std::string>{"all"})
        ::testing::RegisterTest(
            row.operation.c_str(), (aspect + "." + device_label(device)).c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [&row, aspect, device]() -> ::testing::Test* { return new AspectTest(row, aspect, device); });
    }
}

}  // namespace dnn::test
