// When memory runs out: for every k the k-th allocation fails, OutOfMemory comes out, and everything stays usable.
#include <gmock/gmock.h>

#include <functional>

#include "core/kernels/runtime.h"
#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

// Switches the fault off again, whatever happens.
struct Fault {
  explicit Fault(int64_t k) { detail::fail_allocation(k); }
  ~Fault() { detail::fail_allocation(0); }
};

// Runs `work` with the first, second, ... allocation failing until it gets through; `check` runs after every attempt.
int64_t survive(const std::function<void()>& work, const std::function<void()>& check) {
  for (int64_t k = 1; k < 1000; ++k) {
    bool failed = false;
    try {
      const Fault fault(k);
      work();
    } catch (const OutOfMemory&) {
      failed = true;
    }
    check();
    if (!failed || ::testing::Test::HasFailure()) return k - 1;
  }
  ADD_FAILURE() << "still failing after 1000 allocations";
  return 0;
}

TEST(OutOfMemory, SaysHowMuchWasAskedFor) {
  const Fault fault(1);
  EXPECT_ERROR(zeros({3}), dnn::OutOfMemory, "allocator: 12 bytes on cpu refused by fail_allocation");
  EXPECT_EQ(zeros({3}).numel(), 3);  // the fault happens once
}

TEST(OutOfMemory, InOperationsLeavesTheirInputsAlone) {
  manual_seed(1);
  const Tensor x = randn({2, 8, 6, 6}), w = randn({8, 8, 3, 3}), b = randn({8}), v = randn({10, 32});
  const std::vector<float> x_before = x.to_vector<float>();
  std::vector<float> expected;
  const auto work = [&] {
    const Tensor y = max_pool2d(conv2d(x, w, b, {.padding = 1, .activation = Activation::relu}), {.kernel = 3});
    const Tensor z = log_softmax(linear(y.flatten(), v) * 2 + y.mean());
    expected = cat({z, z.t().contiguous().t(), sum(z, {.dims = {0}, .keepdim = true})}).to_vector<float>();
  };
  work();
  const std::vector<float> right = expected;
  const int64_t faults = survive([&] { expected.clear(), work(); }, [&] { EXPECT_EQ(x.to_vector<float>(), x_before); });
  EXPECT_GT(faults, 8);
  EXPECT_EQ(expected, right);
}

TEST(OutOfMemory, InABackwardPassLeavesTheEngineUsable) {
  manual_seed(1);
  Tensor x = randn({4, 3, 6, 6}), w = randn({8, 3, 3, 3}, {.requires_grad = true}),
         b = zeros({8}, {.requires_grad = true});
  Tensor gamma = ones({8}, {.requires_grad = true}), beta = zeros({8}, {.requires_grad = true});
  Tensor v = randn({5, 32}, {.requires_grad = true});
  const Tensor labels = tensor({0, 1, 2, 3}, {4}, {.dtype = DType::int64});
  std::vector<Tensor> parameters{w, b, gamma, beta, v};
  const auto step = [&] {
    for (Tensor& p : parameters) p.zero_grad();
    const Tensor y = batch_norm(conv2d(x, w, b), gamma, beta, {}, {}, {.activation = Activation::relu});
    cross_entropy(linear(avg_pool2d(y).flatten(), v), labels).backward();
  };
  const auto gradients = [&] {
    std::vector<float> all;
    for (const Tensor& p : parameters)
      for (float g : p.grad().to_vector<float>()) all.push_back(g);
    return all;
  };
  step();
  const std::vector<float> right = gradients();
  // With gradients in place, and from nothing.
  for (const bool fresh : {false, true}) {
    SCOPED_TRACE(fresh ? "without gradients" : "with gradients");
    const int64_t faults = survive(
        [&] {
          if (fresh)
            for (Tensor& p : parameters) p.set_grad({});
          step();
        },
        [&] {
          step();  // at once, over whatever the failed pass left
          EXPECT_EQ(gradients(), right);
        });
    EXPECT_GT(faults, 10);
  }
}

// Gradients of several batches: after a pass that failed nobody could tell which leaves have its share.
TEST(OutOfMemory, AFailedPassTakesTheGradientsOfEarlierPassesAway) {
  Tensor a = ones({3}, {.requires_grad = true}), b = ones({3}, {.requires_grad = true});
  const Tensor other = ones({1}, {.requires_grad = true});
  (other * 1).sum().backward();
  const auto pass = [&] { (relu(a) * b * 2).sum().backward(); };
  int64_t failed_passes = 0;
  for (int64_t k = 1;; ++k) {
    a.zero_grad(), b.zero_grad();
    pass();
    const Tensor loss = (relu(a) * b * 2).sum();
    try {
      const Fault fault(k);
      loss.backward();
      break;
    } catch (const OutOfMemory&) {
      ++failed_passes;
      EXPECT_EQ(a.has_grad(), b.has_grad());
      if (a.has_grad()) {
        EXPECT_EQ(k, 1) << "only when the pass did not even begin";
        EXPECT_EQ(a.grad().to_vector<float>(), std::vector<float>(3, 2));
      }
    }
  }
  EXPECT_GT(failed_passes, 2);
  EXPECT_EQ(a.grad().to_vector<float>(), std::vector<float>(3, 4)) << "of two passes";
  EXPECT_TRUE(other.has_grad()) << "it takes no part";
}

TEST(OutOfMemory, AFailedPassLeavesNoHalfGradient) {
  manual_seed(1);
  Tensor v = randn({4, 5}, {.requires_grad = true});
  // With gaps: the backward pass copies it after it has made room for the gradient of v.
  const Tensor w = randn({5, 6}).slice(1, 0, 6, 2);
  matmul(v, w).sum().backward();
  const auto right = v.grad().to_vector<float>();
  survive(
      [&] {
        v.set_grad({});
        { const Tensor dirt = full({4, 5}, -1); }  // what the gradient's memory held before
        matmul(v, w).sum().backward();
      },
      [&] {
        // All of the gradient, or none: never what a kernel has not written.
        if (v.has_grad()) {
          EXPECT_EQ(v.grad().to_vector<float>(), right);
        }
      });
}

TEST(OutOfMemory, LeavesNoMemoryBehind) {
  manual_seed(1);
  Tensor w = randn({16, 16}, {.requires_grad = true});
  const Tensor x = randn({4, 16});
  const auto step = [&] {
    w.zero_grad();
    square(relu(linear(x, w)) + x).mean().backward();
  };
  step();
  const int64_t before = memory_stats().in_use;
  survive(step, [&] { EXPECT_EQ(memory_stats().in_use, before); });
}

TEST(OutOfMemory, InPlaceOperationsChangeAllOrNothing) {
  const Tensor source = tensor({1, 2, 3}, {3}, {.dtype = DType::float64});
  Tensor x = zeros({3});
  survive([&] { x.add_(source, 2); },
          [&] {
            const auto values = x.to_vector<float>();
            EXPECT_TRUE(values == (std::vector<float>{0, 0, 0}) || values == (std::vector<float>{2, 4, 6}));
          });
  Tensor y = zeros({3});
  survive(
      [&] {
        y.copy_(y.reshape({3, 1}).t().reshape({3}) + 1);
      },
      [&] {
        const auto values = y.to_vector<float>();
        EXPECT_TRUE(values == (std::vector<float>{0, 0, 0}) || values == (std::vector<float>{1, 1, 1}));
      });
}

TEST(OutOfMemory, ALayoutThatCannotBecomePlainStaysReadable) {
  const Tensor x = randn({1, 16, 4, 4}), w = randn({16, 16, 3, 3});
  const auto expected = conv2d(x, w, {}, {.padding = 1}).to_vector<float>();
  std::vector<float> values;
  const Tensor y = conv2d(x, w, {}, {.padding = 1});  // perhaps blocked
  survive([&] { values = y.to_vector<float>(); }, [] {});
  EXPECT_EQ(values, expected);
}

TEST(OutOfMemory, ARealOneToo) {
  const MemoryStats before = memory_stats();
  EXPECT_THROW(zeros({int64_t{1} << 44}), dnn::OutOfMemory);
  EXPECT_EQ(memory_stats().in_use, before.in_use);
  EXPECT_EQ(ones({4}).sum().item(), 4);
}

TEST(SteadyState, AsksNothingOfTheSystem) {
  manual_seed(1);
  Tensor w = randn({8, 3, 3, 3}, {.requires_grad = true}), gamma = ones({8}, {.requires_grad = true});
  Tensor beta = zeros({8}, {.requires_grad = true}), v = randn({5, 72}, {.requires_grad = true});
  const Tensor mean = zeros({8}), var = ones({8});
  const std::vector<Tensor> parameters{w, gamma, beta, v};
  std::vector<Tensor> velocities;
  for (const Tensor& p : parameters) velocities.push_back(zeros_like(p));
  const Tensor x = randn({4, 3, 8, 8}), labels = tensor({0, 1, 2, 3}, {4}, {.dtype = DType::int64});
  const auto step = [&] {
    for (const Tensor& p : parameters) Tensor(p).zero_grad();
    Tensor y = batch_norm(conv2d(x, w), gamma, beta, mean, var, {.activation = Activation::relu});
    y = dropout(max_pool2d(y).flatten(), {.p = 0.1});
    cross_entropy(linear(y, v), labels).backward();
    std::vector<Tensor> gradients;
    for (const Tensor& p : parameters) gradients.push_back(p.grad());
    sgd_update_(parameters, gradients, velocities, {.lr = 0.01, .momentum = 0.9});
  };
  step(), step();
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(memory_stats().system_requests, before.system_requests);
  EXPECT_EQ(memory_stats().reserved, before.reserved);
  EXPECT_EQ(memory_stats().in_use, before.in_use);
}

}  // namespace
}  // namespace dnn
