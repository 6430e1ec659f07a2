// A small net whose steps are captured, and the fixture of the cases that do so.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "cuda/context.h"
#include "dnn/capture.h"
#include "dnn/ops.h"
#include "dnn/random.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

inline constexpr Device cuda = Device::cuda();

inline Tensor parameter(const Shape& shape) { return (randn(shape) * 0.5).to(cuda).set_requires_grad(); }

// A net of two layers with its optimizer, whose step is a function of a batch.
struct Net {
  explicit Net(double drop = 0, double momentum = 0.9) : drop(drop), momentum(momentum) {
    for (const Tensor& p : parameters) velocities.push_back(zeros_like(p));
  }
  Tensor forward(const Tensor& x) const {
    Tensor h = linear(x, parameters[0], parameters[1], {.activation = Activation::relu});
    if (drop > 0) h = dropout(h, {.p = drop});
    return linear(h, parameters[2]);
  }
  Tensor step(const Tensor& x, const Tensor& y) {
    for (Tensor& p : parameters) p.zero_grad();
    const Tensor loss = cross_entropy(forward(x), y);
    loss.backward();
    std::vector<Tensor> gradients;
    for (const Tensor& p : parameters) gradients.push_back(p.grad());
    sgd_update_(parameters, gradients, velocities, {.lr = 0.1, .momentum = momentum});
    return loss;
  }
  std::vector<float> numbers() const {
    std::vector<float> all;
    for (const Tensor& p : parameters)
      for (const float value : p.to_vector<float>()) all.push_back(value);
    return all;
  }
  double drop, momentum;
  std::vector<Tensor> parameters{parameter({8, 6}), parameter({8}), parameter({3, 8})};
  std::vector<Tensor> velocities;
};

struct Batch {
  Tensor x, y;
};

inline std::vector<Batch> batches(int64_t count, int64_t size = 4) {
  Generator generator(9);
  std::vector<Batch> all;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<float> pixels(static_cast<size_t>(size * 6));
    for (float& pixel : pixels) pixel = static_cast<float>(generator.normal());
    std::vector<int64_t> labels(static_cast<size_t>(size));
    for (int64_t& label : labels) label = static_cast<int64_t>(generator.below(3));
    all.push_back({from_values(pixels, {size, 6}).to(cuda), from_values(labels, {size}).to(cuda)});
  }
  return all;
}

// The losses of steps, and the parameters after them.
using Losses = std::vector<std::vector<float>>;

template <class Step>
Losses run(Net& net, const std::vector<Batch>& data, Step&& step) {
  Losses result;
  for (const Batch& batch : data) result.push_back(step(batch.x, batch.y).template to_vector<float>());
  result.push_back(net.numbers());
  return result;
}

inline Losses run_eager(const std::vector<Batch>& data, double drop = 0) {
  manual_seed(3);
  Net net(drop);
  return run(net, data, [&](const Tensor& x, const Tensor& y) { return net.step(x, y); });
}

class CaptureTest : public ::testing::Test {
 protected:
  CaptureTest() {
    set_order(Order::forward);
    manual_seed(3);
  }
  ~CaptureTest() override {
    cuda::Context::of(0).memory().set_caching(false);
    set_order(Order::every);
    EXPECT_EQ(take_failure(), "");
    EXPECT_EQ(counters().live_graphs, 0);
  }
  static MemoryStats memory() { return memory_stats(cuda); }
  Tensor x = arange(0.0, 12.0, 1.0).to(DType::float32).to(cuda).reshape({2, 6});
};

}  // namespace dnn::simt::test
