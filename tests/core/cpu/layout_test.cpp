// Blocked activations from operation to operation, and the packed copies of weights.
#include <gtest/gtest.h>

#include <thread>

#include "core/cpu/conv.h"
#include "core/cpu/onednn.h"
#include "core/cpu/packed_weights.h"
#include "core/node.h"
#include "core/storage.h"
#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "dnn/random.h"
#include "tests/harness/errors.h"

namespace dnn::cpu {
namespace {

using detail::Layout;
using detail::layout_of;

Layout native_layout() { return onednn::native_block() == 16 ? Layout::blocked16 : Layout::blocked8; }

double distance(const Tensor& a, const Tensor& b) {
  const auto x = a.to(DType::float64).to_vector<double>(), y = b.to(DType::float64).to_vector<double>();
  EXPECT_EQ(x.size(), y.size());
  double largest = 0, scale = 1e-30;
  for (size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(y[i]));
  }
  return largest / scale;
}

// conv -> relu -> max pool -> batch norm -> add -> average pool, with the layouts it went through.
struct Chain {
  std::vector<Layout> layouts;
  Tensor x, weight, gamma, residual, y;

  Chain(const Tensor& image, const Tensor& filter, const Tensor& other, DType type)
      : x(image.to(type).clone().set_requires_grad()),
        weight(filter.to(type).clone().set_requires_grad()),
        gamma(ones({filter.size(0)}, {.dtype = type}).set_requires_grad()),
        residual(other.to(type).clone().set_requires_grad()) {
    const Tensor beta = zeros({filter.size(0)}, {.dtype = type});
    const auto note = [&](const Tensor& t) { return layouts.push_back(layout_of(t)), t; };
    Tensor h = note(conv2d(x, weight, {}, {.padding = 1}));
    h = note(relu(h));
    h = note(max_pool2d(h, {.kernel = 2}));
    h = note(batch_norm(h, gamma, beta, {}, {}));
    h = note(h + note(conv2d(residual, weight, {}, {.padding = 1})));
    y = note(avg_pool2d(h, {.kernel = 2}));
    (y * y).sum().backward();
  }
};

void expect_chain(int64_t channels, Layout layout) {
  const Tensor image = randn({2, channels, 8, 12}), filter = randn({channels, channels, 3, 3});
  const Tensor other = randn({2, channels, 4, 6});
  const Chain chain(image, filter, other, DType::float32), exact(image, filter, other, DType::float64);
  for (const Layout step : chain.layouts) EXPECT_EQ(step, layout);
  for (const Layout step : exact.layouts) EXPECT_EQ(step, Layout::plain);
  EXPECT_LT(distance(chain.y, exact.y), 1e-5);
  EXPECT_LT(distance(chain.x.grad(), exact.x.grad()), 1e-4);
  EXPECT_LT(distance(chain.weight.grad(), exact.weight.grad()), 1e-4);
  EXPECT_LT(distance(chain.gamma.grad(), exact.gamma.grad()), 1e-4);
  EXPECT_LT(distance(chain.residual.grad(), exact.residual.grad()), 1e-4);
  EXPECT_EQ(layout_of(chain.x.grad()), Layout::plain);
}

TEST(Layout, BlockedIsHandedOn) { expect_chain(32, native_layout()); }
TEST(Layout, ChannelsThatDoNotFillABlockAreInnermost) { expect_chain(6, Layout::channels_last); }

TEST(Layout, APointerTurnsTheStoragePlain) {
  NoGrad no_grad;
  const Tensor x = randn({2, 16, 5, 7}), weight = randn({16, 16, 3, 3});
  const Tensor y = conv2d(x, weight);
  ASSERT_EQ(layout_of(y), native_layout());
  const Tensor copy = y.clone();
  const auto expected = conv2d(x.to(DType::float64), weight.to(DType::float64)).to_vector<double>();
  const uint64_t version = y.version();
  const float* values = y.data<float>();
  EXPECT_EQ(layout_of(y), Layout::plain);
  EXPECT_EQ(y.version(), version);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-4);
  EXPECT_EQ(distance(copy, y), 0.0);
}

TEST(Layout, OfOnePixelIsPlain) {
  NoGrad no_grad;
  EXPECT_EQ(layout_of(conv2d(randn({2, 16, 3, 3}), randn({16, 16, 3, 3}))), Layout::plain);
}

TEST(Layout, IsOfFloat32Alone) {
  const Tensor x = zeros({1, 8, 2, 2}, {.dtype = DType::bfloat16});
  EXPECT_ERROR(detail::in_layout(x, Layout::channels_last), DTypeError,
               "relayout: elements have 2 bytes, expected 4: on the CPU only float32 has layouts");
}

TEST(PackedWeights, FollowChangesInPlace) {
  NoGrad no_grad;
  const Tensor x = randn({1, 16, 6, 6});
  Tensor weight = randn({16, 16, 3, 3});
  const auto error = [&] {
    return distance(conv2d(x, weight), conv2d(x.to(DType::float64), weight.to(DType::float64)));
  };
  EXPECT_LT(error(), 1e-5);
  weight.mul_(-3);
  EXPECT_LT(error(), 1e-5);
  weight.copy_(randn(weight.shape()));
  EXPECT_LT(error(), 1e-5);
  for (int i = 0; i < 3; ++i) weight.data<float>()[i] = 10;  // no version tells of this
  EXPECT_LT(error(), 1e-5);
}

TEST(PackedWeights, OfANewWeightAtAnOldAddress) {
  NoGrad no_grad;
  const Tensor x = randn({1, 16, 6, 6});
  for (int i = 0; i < 20; ++i) {
    const Tensor weight = randn({16, 16, 3, 3});
    EXPECT_LT(distance(conv2d(x, weight), conv2d(x.to(DType::float64), weight.to(DType::float64))), 1e-5);
  }
  EXPECT_LE(packed_weights().size(), 3u);  // those of dead weights were dropped
}

TEST(PackedWeights, OfViewsAreToldApart) {
  NoGrad no_grad;
  const Tensor x = randn({1, 16, 6, 6}), both = randn({2, 16, 16, 3, 3});
  for (int64_t i : {0, 1, 0}) {
    EXPECT_LT(distance(conv2d(x, both[i]), conv2d(x.to(DType::float64), both[i].to(DType::float64))), 1e-5);
  }
}

TEST(PackedWeights, AreBounded) {
  NoGrad no_grad;
  const Tensor x = randn({1, 16, 3, 3});
  std::vector<Tensor> weights;
  for (size_t i = 0; i < PackedWeights::capacity + 10; ++i) {
    weights.push_back(randn({16, 16, 1, 1}));
    conv2d(x, weights.back());
  }
  EXPECT_EQ(packed_weights().size(), PackedWeights::capacity);
  EXPECT_LT(distance(conv2d(x, weights[0]), conv2d(x.to(DType::float64), weights[0].to(DType::float64))), 1e-5);
  release_cached_memory();
  EXPECT_EQ(packed_weights().size(), 0u);
  EXPECT_LT(distance(conv2d(x, weights[1]), conv2d(x.to(DType::float64), weights[1].to(DType::float64))), 1e-5);
}

TEST(Layout, ThreadsConvolveAtTheSameTime) {
  const Tensor x = randn({2, 16, 9, 9}), weight = randn({32, 16, 3, 3});
  const auto expected = [&] {
    NoGrad no_grad;
    return conv2d(x.clone(), weight).to_vector<float>();
  }();
  const auto work = [&] {
    NoGrad no_grad;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(conv2d(x.clone(), weight).to_vector<float>(), expected);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

TEST(Layout, ResultsRepeatBitForBit) {
  const auto run = [] {
    manual_seed(5);
    const Chain chain(randn({4, 16, 16, 16}), randn({16, 16, 3, 3}), randn({4, 16, 8, 8}), DType::float32);
    return std::pair(chain.y.to_vector<float>(), chain.weight.grad().to_vector<float>());
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace dnn::cpu
