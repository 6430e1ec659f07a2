// Filters rearranged for cuDNN: once for each version of the weight.
#include "cuda/packed_filters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cuda/context.h"
#include "dnn/autograd.h"
#include "dnn/capture.h"
#include "dnn/ops.h"
#include "dnn/precision.h"
#include "dnn/random.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

class PackedFilters : public ::testing::Test {
 protected:
  PackedFilters() { cuda::forget_packed_filters(); }
  ~PackedFilters() override { cuda::forget_packed_filters(); }

  // How often something was transposed meanwhile.
  template <class Step>
  static int64_t transposed(const Step& step) {
    synchronize(cuda);
    start_trace();
    step();
    synchronize(cuda);
    const auto trace = take_trace();
    return std::count_if(trace.begin(), trace.end(),
                         [](const std::string& name) { return name.find("transpose_kernel") != std::string::npos; });
  }
  static void expect_packed(const Tensor& weight) {
    expect_same(detail::in_layout(cuda::packed_filter(weight, Layout::channels_last), Layout::plain), weight);
  }
};

TEST_F(PackedFilters, AStepArrangesThemOnceAndAnUpdateMakesThemAnew) {
  Tensor w = gpu(uniform({4, 8, 3, 3}));
  const void* address = nullptr;
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(transposed([&] {
                const Tensor packed = cuda::packed_filter(w, Layout::channels_last);
                if (step > 0) EXPECT_EQ(detail::raw(packed), address) << "the address stays";
                address = detail::raw(packed);
                EXPECT_EQ(detail::raw(cuda::packed_filter(w, Layout::channels_last)), address);
              }),
              1);
    expect_packed(w);
    w.add_(ones({1}, {.device = cuda}));
  }
  EXPECT_EQ(cuda::packed_filters(), 1u);
}

TEST_F(PackedFilters, ForwardAndBackwardOfAConvolutionShareThem) {
  const Tensor x = gpu(uniform({2, 8, 6, 6})).set_requires_grad();
  const Tensor w = gpu(uniform({4, 8, 3, 3})).set_requires_grad();
  const Tensor image = relu(x);
  const auto evaluate = [&] {
    NoGrad no_grad;
    conv2d(image, w);
  };
  EXPECT_EQ(transposed(evaluate), 2) << "the image and the filters";
  EXPECT_EQ(transposed(evaluate), 1);
  const Tensor first = conv2d(relu(x), w), second = conv2d(relu(x), w);
  const int64_t shared = transposed([&] { first.sum().backward(); });
  cuda::forget_packed_filters();
  EXPECT_EQ(transposed([&] { second.sum().backward(); }), shared + 1);
}

TEST_F(PackedFilters, EveryOtherWeightHasItsOwn) {
  const Tensor all = gpu(uniform({8, 8, 3, 3})), other = gpu(uniform({4, 8, 3, 3})),
               half = gpu(uniform({4, 8, 3, 3}, DType::bfloat16));
  for (const Tensor& w : {all, all.slice(0, 0, 4), all.slice(0, 4, 8), other, half}) {
    expect_packed(w);
    expect_packed(w);
  }
  EXPECT_EQ(cuda::packed_filters(), 5u);
}

TEST_F(PackedFilters, WhatIsWrittenThroughAPointerIsSeen) {
  const Tensor w = gpu(uniform({4, 8, 3, 3})), other = gpu(uniform({4, 8, 3, 3}));
  expect_packed(w);
  cuda::Context::of(0).copy(w.data<float>(), other.data<float>(), w.numel() * 4);
  expect_packed(w);
}

TEST_F(PackedFilters, ThoseOfDeadWeightsGo) {
  {
    const Tensor w = gpu(uniform({4, 8, 3, 3}));
    expect_packed(w);
  }
  const Tensor w = gpu(uniform({4, 8, 3, 3}));
  expect_packed(w);
  EXPECT_EQ(cuda::packed_filters(), 1u);
  release_cached_memory(cuda);
  EXPECT_EQ(cuda::packed_filters(), 0u);
  expect_packed(w);
}

TEST_F(PackedFilters, OnlySoManyAreKept) {
  const Tensor all = gpu(uniform({static_cast<int64_t>(cuda::packed_filter_limit) + 3, 2, 2, 2}));
  for (int64_t i = 0; i < all.shape()[0]; ++i) cuda::packed_filter(all.slice(0, i, i + 1), Layout::channels_last);
  EXPECT_EQ(cuda::packed_filters(), cuda::packed_filter_limit);
  expect_packed(all.slice(0, 0, 1));
}

// ---- under autocast, and in captured steps --------------------------------------------------------------------------

// A convolution that learns; each call is `updates` steps.
struct Learner {
  explicit Learner(int updates, DType type = DType::float32) : updates(updates), type(type) {}
  Tensor step(const Tensor& x) const {
    const Autocast autocast(type);
    Tensor loss, w = weight;
    for (int i = 0; i < updates; ++i) {
      w.zero_grad();
      loss = square(evaluate(x)).mean();
      loss.backward();
      sgd_update_({w}, {w.grad()}, {}, {.lr = 0.5});
    }
    return loss;
  }
  Tensor evaluate(const Tensor& x) const {
    const Autocast autocast(type);
    return conv2d(relu(conv2d(x, weight, {}, {.padding = 1})), weight);
  }
  int updates;
  DType type;
  Tensor weight = (from_values(wave(8 * 8 * 9), {8, 8, 3, 3}).to(cuda) / 8).set_requires_grad();

  static std::vector<float> wave(int n) {
    std::vector<float> values;
    for (int i = 0; i < n; ++i) values.push_back(std::sin(static_cast<float>(i * i)));
    return values;
  }
};

std::vector<float> floats(const Tensor& t) { return t.detach().to(DType::float32).to_vector<float>(); }

TEST_F(PackedFilters, AnUpdateOfAWeightIsOneOfItsCopyOf16Bits) {
  const Tensor x = gpu(uniform({1, 8, 5, 5}));
  const Learner net(1, DType::bfloat16);
  net.step(x);
  for (int i = 0; i < 3; ++i) {
    Tensor y;
    const int64_t changed = transposed([&] { y = net.evaluate(x); });
    EXPECT_EQ(transposed([&] { net.evaluate(x); }), changed - 1) << "unchanged since";
    const Tensor w = net.weight.detach().to(DType::bfloat16), image = x.to(DType::bfloat16);
    EXPECT_EQ(floats(y), floats(conv2d(relu(conv2d(image, w, {}, {.padding = 1})), w)));
    net.step(x);
  }
}

TEST_F(PackedFilters, ACapturedStepArrangesThoseThatItChanges) {
  set_order(Order::forward);
  for (const DType type : {DType::float32, DType::bfloat16}) {
    for (const int updates : {1, 3}) {
      SCOPED_TRACE(std::string(name_of(type)) + ", updates: " + std::to_string(updates));
      cuda::forget_packed_filters();
      const Tensor x = gpu(uniform({1, 8, 5, 5}));
      const Learner eager(updates, type), captured(updates, type);
      auto step = capture([&](const Tensor& image) { return captured.step(image); });
      std::vector<float> expected, actual;
      int64_t arranged = 0, repeated = 0;
      for (int i = 0; i < 7; ++i) {
        arranged = transposed([&] { expected = floats(eager.step(x)); });
        repeated = transposed([&] { actual = floats(step(x)); });
        EXPECT_EQ(actual, expected) << i;
        if (i % 2 == 0) EXPECT_EQ(floats(captured.evaluate(x)), floats(eager.evaluate(x))) << i;
      }
      EXPECT_EQ(step.repetitions(), 4);
      EXPECT_EQ(repeated, arranged) << "once for each version";
      EXPECT_EQ(cuda::packed_filters(), 2u) << "the graph's own are forgotten";
      // A change between repetitions is seen by the next.
      for (const Learner* net : {&eager, &captured}) {
        const NoGrad no_grad;
        Tensor w = net->weight;
        w.mul_(0.5);
      }
      EXPECT_EQ(floats(step(x)), floats(eager.step(x)));
    }
  }
  set_order(Order::every);
}

}  // namespace dnn::simt::test
