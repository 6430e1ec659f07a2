// No operation makes the host wait for the GPU without need: every row of the operation table, forward and backward.
#include <gtest/gtest.h>

#include <map>

#include "cuda/context.h"
#include "tests/harness/trial.h"
#include "tests/simt/simt.h"

namespace dnn::test {
namespace {

// Operations that cannot return before the GPU has answered, and why.
const std::map<std::string, std::string> waiting{
    {"nonzero", "how many there are is the shape of the result"},
    {"masked_select", "how many are chosen is the shape of the result"},
    {"index", "how many a mask chooses is the shape of the result; indices are not looked at"},
    {"randperm", "its row sorts the result on the host"},
    {"one_hot", "when no number of classes is given, the largest index is it"},
    {"floor_divide", "a zero among integer divisors throws, as on the CPU; floating divisors are not looked at"},
    {"remainder", "a zero among integer divisors throws, as on the CPU; floating divisors are not looked at"}};

int64_t waits() { return cuda::Context::of(0).counters().waits; }

// The waits of all samples in one type. Each runs twice before, since plans of libraries are made at the first call,
// and those that add to a gradient at the second.
int64_t waits_of(const Row& row, DType type) {
  int64_t total = 0;
  for (const Sample& sample : row.samples) {
    const Trial trial(row, sample, type, Device::cuda());
    const Tensors inputs = trial.leaves();
    const Tensor gradient = trial.upstream_tensor(trial.call(inputs));
    const auto step = [&] {
      const Tensor y = trial.call(inputs);
      if (y.requires_grad()) y.backward(gradient);
    };
    step(), step();
    const int64_t before = waits();
    step();
    total += waits() - before;
  }
  return total;
}

TEST(Waits, NoOperationWaitsButThoseThatMust) {
  simt::set_order(simt::Order::forward);
  for (const Row& row : table()) {
    int64_t found = row.floating.empty() ? 0 : waits_of(row, row.floating.front());
    if (!row.integers.empty()) found += waits_of(row, row.integers.front());
    EXPECT_EQ(found > 0, waiting.contains(row.operation)) << row.operation << " waited " << found << " times";
  }
  simt::set_order(simt::Order::every);
}

}  // namespace
}  // namespace dnn::test
