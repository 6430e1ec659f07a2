// Fifty training steps on the CPU and on the device, with TF32 off: the losses stay together.
//
// Rounding is all that may differ, and training amplifies it: most in the ResNet, whose batch norm divides by
// deviations of few samples. The tolerances leave room above the distance between two runs on the CPU of which one
// begins with weights changed in the last bits, since on another device every step rounds differently.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "tests/gpu/support.h"

namespace dnn::test {
namespace {

constexpr int64_t steps = 50;

std::vector<double> losses(Training& training) {
  manual_seed(2);  // dropout
  std::vector<Tensor> waiting;
  for (int64_t i = 0; i < steps; ++i) waiting.push_back(training.step());
  std::vector<double> result;
  for (const Tensor& loss : waiting) result.push_back(loss.item());
  return result;
}

// Largest distance of two curves, relative to a loss of at least a tenth.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double here = std::abs(a[i] - b[i]) / std::max(0.1, std::abs(b[i]));
    worst = std::isnan(here) ? INFINITY : std::max(worst, here);
  }
  return worst;
}

class LossCurves : public OnDevice {};

TEST_P(LossCurves, AreThoseOfTheCpu) {
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    Training here(task, Device::cpu()), there(task, device());
    const std::vector<double> expected = losses(here), found = losses(there);
    // With this variable the curves are left behind as CSV, for the report of check.sh.
    if (const char* folder = std::getenv("DNN_LOSS_CURVES"); folder != nullptr) {
      std::ofstream file(std::string(folder) + "/curves-" + task.name + "-" + device().str().substr(0, 4) + ".csv");
      file << "step,cpu,device\n";
      for (size_t i = 0; i < found.size(); ++i) file << i << "," << expected[i] << "," << found[i] << "\n";
    }
    EXPECT_LE(distance(found, expected), task.tolerance);
    double early = 0, late = 0;
    for (size_t i = 0; i < 10; ++i) early += found[i], late += found[found.size() - 1 - i];
    EXPECT_LT(late, 0.9 * early) << "and the network learns";
  }
}

// What the tolerances are made of.
TEST(Rounding, MovesTheLossesOfTheCpuByLess) {
  const Device cpu = Device::cpu();
  for (const Task& task : tasks()) {
    SCOPED_TRACE(task.name);
    Training exact(task, cpu), rounded(task, cpu);
    {
      const NoGrad no_grad;
      for (Tensor p : rounded.net().parameters()) p.copy_(p * (1 + 1e-7));
    }
    const double moved = distance(losses(rounded), losses(exact));
    EXPECT_GT(moved, 0);
    EXPECT_LT(moved, task.tolerance);
  }
}

DNN_ON_DEVICES(LossCurves);

}  // namespace
}  // namespace dnn::test
