// The graph behind autograd: hooks on its gradients, its depth, its memory.
#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::ElementsAre;

Tensor leaf(std::initializer_list<double> values) { return tensor(values).set_requires_grad(); }
std::vector<float> gradient(const Tensor& t) { return t.grad().to_vector<float>(); }

// ---- hooks
// -----------------------------------------------------------------------------------------------------------

TEST(Hooks, SeeTheCompleteGradientOnce) {
  const Tensor x = leaf({1, 2});
  std::vector<std::vector<float>> seen;
  x.register_hook([&](const Tensor& g) { seen.push_back(g.to_vector<float>()); });
  (x * 2 + x * 3 + square(x)).sum().backward();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_THAT(seen[0], ElementsAre(7, 9));
  (x * 2).sum().backward();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_THAT(seen[1], ElementsAre(9, 11));  // with what was accumulated before
}

TEST(Hooks, RunInOrderAndCanBeRemoved) {
  const Tensor x = leaf({1});
  std::vector<int> order;
  x.register_hook([&](const Tensor&) { order.push_back(1); });
  const int second = x.register_hook([&](const Tensor&) { order.push_back(2); });
  x.register_hook([&](const Tensor&) { order.push_back(3); });
  (x * 2).sum().backward();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
  x.remove_hook(second);
  x.remove_hook(12345678);  // unknown: nothing happens
  order.clear();
  (x * 2).sum().backward();
  EXPECT_THAT(order, ElementsAre(1, 3));
}

TEST(Hooks, MayRemoveThemselves) {
  const Tensor x = leaf({1});
  int calls = 0, id = 0;
  id = x.register_hook([&](const Tensor&) { ++calls, x.remove_hook(id); });
  (x * 2).sum().backward();
  (x * 2).sum().backward();
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, OfResultsSeeTheirGradient) {
  const Tensor x = leaf({1, 2});
  const Tensor y = x * 2;
  std::vector<float> seen;
  int calls = 0;
  y.register_hook([&](const Tensor& g) { seen = g.to_vector<float>(), ++calls; });
  (y * 3 + y * 4).sum().backward();
  EXPECT_THAT(seen, ElementsAre(7, 7));
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, RunFromTheEndToTheBeginning) {
  const Tensor a = leaf({1}), b = leaf({2});
  std::vector<char> order;
  a.register_hook([&](const Tensor&) { order.push_back('a'); });
  b.register_hook([&](const Tensor&) { order.push_back('b'); });
  const Tensor first = a * 2;
  const Tensor second = first * b;
  second.register_hook([&](const Tensor&) { order.push_back('2'); });
  first.register_hook([&](const Tensor&) { order.push_back('1'); });
  second.sum().backward();
  EXPECT_THAT(order, ElementsAre('2', 'b', '1', 'a'));
}

TEST(Hooks, NeedATensorThatRequiresAGradient) {
  EXPECT_ERROR(tensor({1, 2}).register_hook([](const Tensor&) {}), AutogradError,
               "register_hook: the tensor does not require a gradient, expected one that does (shape [2])");
}

TEST(Hooks, ABackwardPassInsideAPassIsRefused) {
  const Tensor x = leaf({1});
  x.register_hook([&](const Tensor&) {
    EnableGrad enable;
    (x * 2).sum().backward();
  });
  EXPECT_ERROR((x * 3).sum().backward(), AutogradError,
               "backward: called inside a backward pass, expected one pass at a time");
  // The failed pass leaves the engine ready for the next one.
  const Tensor z = leaf({1});
  (z * 3).sum().backward();
  EXPECT_THAT(gradient(z), ElementsAre(3));
}

TEST(Hooks, AnExceptionLeavesEverythingUsable) {
  Tensor x = leaf({1});
  const int id = x.register_hook([](const Tensor&) { throw std::runtime_error("enough"); });
  EXPECT_THROW((x * 3 + x * 4).sum().backward(), std::runtime_error);
  x.remove_hook(id);
  x.zero_grad();
  int calls = 0;
  x.register_hook([&](const Tensor&) { ++calls; });
  (x * 3 + x * 4).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(7));
  EXPECT_EQ(calls, 1);
}

// ---- size and memory
// -------------------------------------------------------------------------------------------------

TEST(Graph, ADeepOneNeedsNoStack) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = y + 1;
  y.backward(tensor({1}));
  EXPECT_THAT(gradient(x), ElementsAre(1));
}

TEST(Graph, ADeepOneThatIsDroppedNeedsNoStack) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = y + 1;
  y = {};
  Tensor wide = x;
  for (int i = 0; i < 50000; ++i) wide = wide + wide;
  wide = {};
  EXPECT_FALSE(x.has_grad());
}

TEST(Graph, ADeepOneOfBlocksWithResidualsIsDroppedWithoutStack) {
  const Tensor weight = ones({1}, {.requires_grad = true}), bias = zeros({1});
  const Tensor filter = ones({1, 1, 1, 1}, {.requires_grad = true});
  Tensor y = rand({2, 1, 1, 1});
  for (int i = 0; i < 20000; ++i) {
    y = batch_norm(y, weight, bias, {}, {}, {.add = y});
    if (i % 10 == 0) y = conv2d(y, filter, {}, {.add = y});
  }
  y = {};
  EXPECT_FALSE(weight.has_grad());
}

TEST(Graph, FreesAsItGoes) {
  const Tensor x = rand({1 << 16}, {.requires_grad = true});
  const int64_t bytes = 4 << 16;
  const int64_t before = memory_stats().in_use;
  {
    Tensor y = x;
    for (int i = 0; i < 50; ++i) y = exp(y * 0.01);
    const Tensor loss = y.sum();
    y = {};
    EXPECT_GE(memory_stats().in_use - before, 50 * bytes);  // exp keeps its result
    reset_peak_memory();
    const int64_t start = memory_stats().in_use;
    loss.backward();
    EXPECT_LE(memory_stats().peak - start, 4 * bytes);
    EXPECT_LE(memory_stats().in_use - before, 3 * bytes);  // the gradient, and little else
  }
  EXPECT_LE(memory_stats().in_use - before, bytes);
}

TEST(Graph, NothingIsLeftBehind) {
  const int64_t before = memory_stats().in_use;
  {
    const Tensor x = rand({100}, {.requires_grad = true});
    const Tensor y = exp(x) * x;
    y.register_hook([](const Tensor&) {});
    y.sum().backward({.retain_graph = true});
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

TEST(Graph, RecordsNothingForConstants) {
  const Tensor x = rand({1 << 16});
  const int64_t before = memory_stats().in_use;
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = exp(y * 0.01);
  EXPECT_LE(memory_stats().in_use - before, 2 * (4 << 16));
}

TEST(Graph, ThreadsRunTheirOwnPasses) {
  std::vector<std::thread> threads;
  std::vector<float> results(4);
  for (size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([i, &results] {
      Tensor x = tensor({static_cast<double>(i)}).set_requires_grad();
      for (int step = 0; step < 50; ++step) {
        x.zero_grad();
        (square(x) + x).sum().backward();
      }
      results[i] = gradient(x)[0];
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(results, ElementsAre(1, 3, 5, 7));
}

}  // namespace
}  // namespace dnn
