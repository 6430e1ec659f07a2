// The context of a GPU: copies that do not wait, waits that are counted, errors that come with the next wait.
#include "cuda/context.h"

#include <gmock/gmock.h>

#include <numeric>

#include "core/kernels/runtime.h"
#include "cuda/check.h"
#include "cuda/launch.cuh"
#include "dnn/error.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/embedding.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"
#include "dnn/ops/linear.h"
#include "dnn/ops/loss.h"
#include "dnn/ops/optim.h"
#include "dnn/ops/unary.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class ContextTest : public ::testing::Test {
 protected:
  ContextTest() { set_order(Order::shuffled); }
  ~ContextTest() override {
    set_order(Order::every);
    set_machine({});
    context.set_sync_launch(false);
    context.memory().set_caching(false);
  }
  int64_t waits() const { return context.counters().waits; }
  Context& context = Context::of(0);
};

std::vector<int> counted(size_t n, int first) {
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_F(ContextTest, UploadsReturnAtOnceAndKeepTheBytes) {
  const int64_t before = waits();
  std::vector<int> source = counted(1000, 5);
  const cuda::Scratch memory(context, 4000);
  context.to_device(memory.as<void>(), source.data(), 4000);
  std::fill(source.begin(), source.end(), 0);  // the caller's memory is free again
  EXPECT_EQ(waits(), before);
  std::vector<int> result(1000);
  context.to_host(result.data(), memory.as<void>(), 4000);
  EXPECT_EQ(waits(), before + 1);
  EXPECT_EQ(result, counted(1000, 5));
}

// More than the ring of staging buffers holds, on a GPU that finishes nothing by itself: buffers must not be
// overwritten too early.
TEST_F(ContextTest, LargeCopiesDoNotWaitForTheRing) {
  const size_t n = static_cast<size_t>(cuda::Staging::buffer_bytes) * (cuda::Staging::buffer_count + 2) / 4 + 7;
  const auto bytes = static_cast<int64_t>(4 * n);
  set_machine({.slow = true});
  const std::vector<int> source = counted(n, 1);
  const cuda::Scratch memory(context, bytes);
  const int64_t before = waits();
  context.to_device(memory.as<void>(), source.data(), bytes);
  EXPECT_EQ(waits(), before) << "it has a pinned buffer of its own size";
  std::vector<int> result(n);
  context.to_host(result.data(), memory.as<void>(), bytes);
  EXPECT_EQ(result, source);
}

TEST_F(ContextTest, ManySmallUploadsFollowEachOther) {
  set_machine({.slow = true});
  const cuda::Scratch memory(context, 100 * 4);
  for (int i = 0; i < 100; ++i) context.to_device(memory.as<int>() + i, &i, 4);
  std::vector<int> result(100);
  context.to_host(result.data(), memory.as<void>(), 400);
  EXPECT_EQ(result, counted(100, 0));
}

TEST_F(ContextTest, CopiesBetweenTwoGpusKeepTheOrder) {
  const detail::DeviceRuntime& table = detail::runtime_table(DeviceType::cuda);
  ASSERT_EQ(table.device_count(), 2);
  const auto values = counted(50, 3);
  void* first = table.allocate(200, 0);
  void* second = table.allocate(200, 1);
  table.copy(first, Device::cuda(0), values.data(), Device::cpu(), 200);
  table.copy(second, Device::cuda(1), first, Device::cuda(0), 200);
  table.release(first, 200, 0);
  std::vector<int> result(50);
  table.copy(result.data(), Device::cpu(), second, Device::cuda(1), 200);
  EXPECT_EQ(result, values);
  table.release(second, 200, 1);
}

TEST_F(ContextTest, ADeviceThatDoesNotExist) {
  EXPECT_THROW(Context::of(100), DeviceError);
  try {
    zeros({1}, {.device = Device::cuda(100)});
    FAIL() << "expected DeviceError";
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cuda:100 does not exist"));
  }
}

TEST_F(ContextTest, FailuresCarryExpressionStatusAndPlace) {
  try {
    DNN_CUDA_CHECK(cudaSetDevice(77));
    FAIL() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cuda: cudaSetDevice(77) failed, expected success (cudaErrorInvalidDevice: "));
    EXPECT_THAT(error.what(), HasSubstr("context_test.cpp:"));
  }
}

TEST_F(ContextTest, TablesAreUploadedOnce) {
  const auto bytes = [](int value) { return std::vector<std::byte>(100, static_cast<std::byte>(value)); };
  const void* first = context.table(bytes(1));
  EXPECT_EQ(context.table(bytes(1)), first);
  EXPECT_NE(context.table(bytes(2)), first);
  EXPECT_EQ(context.table(bytes(1)), first);
  for (int i = 3; i < 40; ++i) context.table(bytes(i));  // old ones give way
  std::vector<std::byte> result(100);
  context.to_host(result.data(), context.table(bytes(1)), 100);
  EXPECT_EQ(result, bytes(1));
}

// ---- labels ---------------------------------------------------------------------------------------------------------

Tensor on_gpu(std::vector<double> values, DType type) {
  Tensor host = zeros({static_cast<int64_t>(values.size())}, {.dtype = DType::float64});
  std::copy(values.begin(), values.end(), host.data<double>());
  return host.to(type).to(Device::cuda());
}

std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const IndexError& error) {
    return error.what();
  }
  return "";
}

class Labels : public ContextTest {};

TEST_F(Labels, ABadOneIsReportedAtTheNextWait) {
  const Tensor logits = zeros({4, 3}, {.device = Device::cuda()});
  Tensor loss;
  EXPECT_NO_THROW(loss = cross_entropy(logits, on_gpu({0, 1, 7, -2}, DType::int64)));
  EXPECT_EQ(message([&] { loss.item(); }), "cross_entropy: label 7 at position 2, expected 0 <= label < 3");
  EXPECT_EQ(message([&] { loss.item(); }), "") << "reported once";
  EXPECT_TRUE(std::isnan(loss.item()));
  EXPECT_NEAR(cross_entropy(logits, on_gpu({0, 1, 2, 0}, DType::int32)).item(), std::log(3), 1e-6) << "usable after";
}

TEST_F(Labels, TheFirstOfSeveralBatchesIsReported) {
  const Tensor logits = zeros({2, 3}, {.device = Device::cuda()});
  cross_entropy(logits, on_gpu({0, 1}, DType::int64));
  cross_entropy(logits, on_gpu({0, -5}, DType::int32));
  cross_entropy(logits, on_gpu({9, 1}, DType::int64));
  EXPECT_EQ(message([&] { synchronize(Device::cuda()); }),
            "cross_entropy: label -5 at position 1, expected 0 <= label < 3");
}

TEST_F(Labels, BeyondThirtyTwoBits) {
  const Tensor logits = zeros({1, 3}, {.device = Device::cuda()});
  cross_entropy(logits, on_gpu({1e12}, DType::int64));
  EXPECT_EQ(message([&] { synchronize(Device::cuda()); }),
            "cross_entropy: label 2147483647 (or beyond) at position 0, expected 0 <= label < 3");
}

TEST_F(Labels, MoreBatchesThanTheStatusBlockHasSlots) {
  const Tensor logits = zeros({2, 3}, {.device = Device::cuda()});
  const Tensor good = on_gpu({0, 1}, DType::int64), bad = on_gpu({0, 3}, DType::int64);
  cross_entropy(logits, bad);
  for (int i = 0; i < 200; ++i) cross_entropy(logits, good);
  EXPECT_EQ(message([&] { synchronize(Device::cuda()); }),
            "cross_entropy: label 3 at position 1, expected 0 <= label < 3");
}

// Labels and indices of several operations: the one that was launched first is thrown, whichever slot it has.
TEST_F(Labels, OfSeveralKindsComeOutInTheOrderOfLaunch) {
  const Tensor logits = zeros({2, 3}, {.device = Device::cuda()}), weight = zeros({5, 2}, {.device = Device::cuda()});
  const Tensor good = on_gpu({0, 1}, DType::int64), bad = on_gpu({1, 7}, DType::int64);
  const auto loss = [&](const Tensor& labels) { cross_entropy(logits, labels); };
  const auto negative_likelihood = [&](const Tensor& labels) { nll_loss(logits, labels); };
  const auto rows = [&](const Tensor& index) { embedding(index, weight); };
  const auto picked = [&](const Tensor& index) { index_select(logits, 1, index); };
  const std::vector<std::pair<std::function<void(const Tensor&)>, std::string>> kinds{
      {loss, "cross_entropy: label 7 at position 1, expected 0 <= label < 3"},
      {negative_likelihood, "cross_entropy: label 7 at position 1, expected 0 <= label < 3"},
      {rows, "embedding: index 7 at position 1, expected 0 <= index < 5"},
      {picked, "index_select: index 7 at position 1, expected 0 <= index < 3"},
  };
  for (const auto& [first, text] : kinds) {
    for (const auto& kind : kinds) kind.first(good);
    first(bad);
    for (int i = 0; i < 12; ++i)
      for (const auto& kind : kinds) kind.first(i % 3 == 0 ? good : bad);
    const int64_t host_before = waits(), machine_before = counters().waits;
    EXPECT_EQ(message([&] { synchronize(Device::cuda()); }), text);
    EXPECT_EQ(waits(), host_before + 1);
    EXPECT_EQ(counters().waits, machine_before + 1) << "the status comes along with the wait";
    EXPECT_EQ(message([&] { synchronize(Device::cuda()); }), "") << "the later ones are dropped with it";
  }
}

TEST_F(Labels, ReportedAtOnceWhenLaunchesWait) {
  context.set_sync_launch(true);
  const Tensor logits = zeros({2, 3}, {.device = Device::cuda()});
  const Tensor bad = on_gpu({0, 3}, DType::int64);
  EXPECT_EQ(message([&] { cross_entropy(logits, bad); }),
            "cross_entropy: label 3 at position 1, expected 0 <= label < 3");
}

// ---- a training step ------------------------------------------------------------------------------------------------

TEST_F(ContextTest, ATrainingStepNeitherWaitsNorAsksForMemory) {
  context.memory().set_caching(true);
  const TensorOptions gpu{.device = Device::cuda()};
  Tensor w1 = rand({16, 8}, gpu).set_requires_grad(), b1 = zeros({16}, gpu).set_requires_grad();
  Tensor w2 = rand({3, 16}, gpu).set_requires_grad();
  const std::vector<Tensor> parameters{w1, b1, w2};
  std::vector<Tensor> velocities;
  for (const Tensor& p : parameters) velocities.push_back(zeros(p.shape(), gpu));
  const Tensor images = rand({5, 8}), labels = on_gpu({0, 1, 2, 1, 0}, DType::int64).to(Device::cpu());
  Tensor loss;
  const auto step = [&](bool first) {
    const Tensor x = images.to(Device::cuda()), y = labels.to(Device::cuda());
    for (Tensor p : parameters) p.zero_grad();
    loss = cross_entropy(linear(relu(linear(x, w1, b1)), w2), y);
    loss.backward();
    std::vector<Tensor> gradients;
    for (const Tensor& p : parameters) gradients.push_back(p.grad());
    sgd_update_(parameters, gradients, velocities, {.lr = 0.1, .momentum = 0.9, .step = first});
  };
  step(true);
  step(false);
  const double early = loss.item();
  const auto before = context.counters();
  const Counters machine_before = counters();
  for (int i = 0; i < 20; ++i) step(false);
  EXPECT_EQ(context.counters().waits, before.waits);
  EXPECT_EQ(counters().waits, machine_before.waits);
  EXPECT_EQ(counters().allocations, machine_before.allocations);
  EXPECT_GT(context.counters().launches, before.launches);
  EXPECT_LT(loss.item(), early) << "and it learns";
}

TEST_F(ContextTest, TheOptimizerIsOneLaunchOverAllParameters) {
  std::vector<Tensor> parameters, gradients, means, squares;
  for (const int64_t n : {3, 5000, 100, 1, 9000}) {
    const TensorOptions options{.dtype = n == 100 ? DType::bfloat16 : DType::float32, .device = Device::cuda()};
    for (auto* list : {&parameters, &gradients, &means, &squares}) list->push_back(ones({n}, options));
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t before = context.counters().launches;
    adam_update_(parameters, gradients, means, squares, {});
    EXPECT_EQ(context.counters().launches, before + 1);
  }
}

}  // namespace dnn::simt::test
