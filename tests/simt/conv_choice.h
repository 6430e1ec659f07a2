// What the tests of choosing a convolution's plan share.
#pragma once

#include <gmock/gmock.h>

#include <cstdlib>

#include "cuda/context.h"
#include "cuda/conv_choice.h"
#include "dnn/ops.h"
#include "dnn/random.h"
#include "tests/simt/conv_plans.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

class ConvChoice : public ::testing::Test {
 protected:
  void SetUp() override { reset(); }
  void TearDown() override {
    unsetenv("DNN_CONV_PLANS");
    set_machine({});
    reset();
  }
  static void reset() {
    cuda::forget_convs();
    set_stand_in({});
    take_runs(), take_graphs();
  }
  static Tensor gpu(const Tensor& t) { return t.to(Device::cuda()); }
  template <class Step>
  static int64_t launches_of(const Step& step) {
    const int64_t before = cuda::Context::of(0).counters().launches;
    step();
    return cuda::Context::of(0).counters().launches - before;
  }

  // A convolution on the emulated GPU against the CPU's.
  void expect_right(Activation activation = Activation::none, DType type = DType::float32, bool with_add = false) {
    manual_seed(3);
    const Tensor x = randn({2, 5, 6, 6}).to(type), w = randn({4, 5, 3, 3}).to(type), b = randn({4}).to(type);
    const Tensor add = with_add ? randn({2, 4, 4, 4}).to(type) : Tensor();
    const Conv2dOptions options{.activation = activation, .add = with_add ? gpu(add) : add};
    const auto actual = conv2d(gpu(x), gpu(w), gpu(b), options).to(DType::float32).to_vector<float>();
    const auto expected = conv2d(x, w, b, {.activation = activation, .add = add}).to(DType::float32).to_vector<float>();
    EXPECT_THAT(actual, ::testing::Pointwise(::testing::FloatNear(type == DType::float32 ? 1e-4f : 0.2f), expected));
  }
};

}  // namespace dnn::simt::test
