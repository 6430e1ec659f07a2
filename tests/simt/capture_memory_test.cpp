// The memory of captured steps: nobody else is given it, and it comes back.
#include <cmath>

#include "tests/simt/captured_net.h"

namespace dnn::simt::test {
namespace {

class CaptureMemory : public CaptureTest {
 protected:
  CaptureMemory() { cuda::Context::of(0).memory().set_caching(true); }
};

TEST_F(CaptureMemory, NobodyElseIsGivenIt) {
  const std::vector<Batch> data = batches(8);
  const Losses expected = run_eager(data);
  manual_seed(3);
  Net net;
  auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
  const Losses actual = run(net, data, [&](const Tensor& x, const Tensor& y) {
    for (const int64_t n : {1, 24, 32, 100, 5000}) full({n}, 1e30, {.device = cuda});  // would spoil what is reused
    return step(x, y);
  });
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(step.repetitions(), 5);
}

TEST_F(CaptureMemory, ComesBackWithTheStep) {
  const std::vector<Batch> data = batches(5);
  Net net;
  for (const Batch& batch : data) net.step(batch.x, batch.y);  // makes the gradients
  const int64_t in_use = memory().in_use;
  Tensor kept;
  {
    auto step = capture([&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
    for (const Batch& batch : data) kept = step(batch.x, batch.y);
    EXPECT_GT(memory().in_use, in_use);
    EXPECT_EQ(counters().live_graphs, 1);
  }
  EXPECT_TRUE(std::isfinite(kept.item())) << "a result outlives the step";
  kept = Tensor();
  EXPECT_EQ(memory().in_use, in_use);
  release_cached_memory(cuda);
  EXPECT_LT(memory().reserved, int64_t{1} << 23);
  for (const Batch& batch : data) net.step(batch.x, batch.y);
}

// What a launch brings to the device before the graph runs, where the step has released memory before it is needed.
TEST_F(CaptureMemory, NumbersAndTablesOfAGraphLieApartFromWhatItReuses) {
  const Tensor factor = full({}, 0.5, {.device = cuda}), velocity = zeros({2, 6}, {.device = cuda});
  const auto body = [&](const Tensor& x) {
    for (int i = 0; i < 8; ++i) static_cast<void>(x * i);
    const Tensor y = x * 3, p = x * 2;
    scale_gradients_({y}, factor);
    sgd_update_({p}, {y}, {velocity}, {.momentum = 0.5}, {.lr = [] { return 0.25; }});
    return p;
  };
  const auto values = [&](auto&& step) {
    velocity.detach().zero_();
    std::vector<std::vector<float>> all;
    for (int i = 0; i < 6; ++i) all.push_back(step(x).template to_vector<float>());
    return all;
  };
  auto step = capture(body);
  EXPECT_EQ(values(step), values(body));
  EXPECT_EQ(step.repetitions(), 3);
}

TEST_F(CaptureMemory, FreeSegmentsAreTakenOver) {
  auto step = capture([](const Tensor& x) { return (x.expand({1 << 20}) * 2).sum(); }, {.eager_calls = 1});
  const Tensor one = ones({1}, {.device = cuda});
  EXPECT_EQ(step(one).item(), 2 << 20);
  const int64_t reserved = memory().reserved;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(one).item(), 2 << 20);
  EXPECT_LE(memory().reserved, reserved + (int64_t{1} << 21)) << "a segment of small blocks alone";
}

}  // namespace
}  // namespace dnn::simt::test
