// Autocast on the emulated GPU: what is cast, the shadows of weights, and gradients of 16 bits.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dnn/dnn.h"
#include "tests/harness/errors.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {
namespace {

using List = std::vector<double>;

const TensorOptions there{.device = Device::cuda()};

List values(const Tensor& t) { return t.detach().to(DType::float64).to_vector<double>(); }

class AutocastTest : public ::testing::Test {
 protected:
  AutocastTest() { set_order(Order::forward), manual_seed(1); }
  ~AutocastTest() override { set_order(Order::every); }
};

Tensor parameter(const Shape& shape) { return randn(shape, there).set_requires_grad(); }

// How often a kernel of that name runs while `call` does its work.
int64_t runs_of(const std::string& kernel, const std::function<void()>& call) {
  synchronize(Device::cuda());
  start_trace();
  call();
  drain();
  const std::vector<std::string> trace = take_trace();
  return std::count_if(trace.begin(), trace.end(),
                       [&](const std::string& name) { return name.find(kernel) != std::string::npos; });
}
int64_t casts(const std::function<void()>& call) { return runs_of("convert_kernel", call); }

// ---- what is cast ---------------------------------------------------------------------------------------------------

TEST_F(AutocastTest, HoldsForItsScopeAndThread) {
  EXPECT_EQ(autocast_dtype(), DType::float32);
  {
    const Autocast outer(DType::bfloat16);
    EXPECT_EQ(autocast_dtype(), DType::bfloat16);
    {
      const Autocast inner(DType::float16);
      EXPECT_EQ(autocast_dtype(), DType::float16);
      const Autocast off(DType::float32);
      EXPECT_EQ(autocast_dtype(), DType::float32);
    }
    EXPECT_EQ(autocast_dtype(), DType::bfloat16);
    std::thread([] { EXPECT_EQ(autocast_dtype(), DType::float32); }).join();
  }
  EXPECT_EQ(autocast_dtype(), DType::float32);
  EXPECT_ERROR(Autocast(DType::float64), DTypeError,
               "autocast: the type is float64, expected bfloat16 or float16, or float32 for none");
}

TEST_F(AutocastTest, ThrowsOnACpu) {
  const Autocast autocast(DType::bfloat16);
  EXPECT_ERROR(linear(ones({2, 3}), ones({4, 3})), DeviceError,
               "linear: the input is on a CPU while autocast asks for bfloat16, expected it on a GPU, or "
               "Autocast(DType::float32) around it (input [2, 3])");
  EXPECT_THROW(matmul(ones({2, 2}), ones({2, 2})), DeviceError);
  EXPECT_EQ(autocast_dtype(), DType::bfloat16);
  EXPECT_EQ(exp(zeros({1})).item(), 1) << "nothing is cast in it";
  const Autocast off(DType::float32);
  EXPECT_EQ(linear(ones({2, 3}), ones({4, 3})).dtype(), DType::float32);
}

// An operation of 16 bits under autocast and with operands that were cast before; results are the same bits.
TEST_F(AutocastTest, OperationsOf16BitsCastAllTheirOperands) {
  const Tensor image = randn({2, 4, 5, 5}, there), filters = randn({6, 4, 3, 3}, there), bias = randn({6}, there);
  const Tensor row = randn({2, 4, 7}, there), taps = randn({6, 4, 3}, there), add = randn({2, 6, 3, 3}, there);
  const Tensor x = randn({3, 4}, there), w = randn({6, 4}, there), stack = randn({2, 4, 3}, there);
  const Tensor up = randn({4, 6, 2, 2}, there), sequence = randn({3, 2, 4}, there), slope = randn({4}, there);
  std::vector<Tensor> recurrent;
  for (const Shape& shape : {Shape{20, 4}, Shape{20, 5}, Shape{20}, Shape{20}})
    recurrent.push_back(randn(shape, there));
  using Call = std::function<Tensor(const std::function<Tensor(const Tensor&)>&)>;
  const std::vector<std::pair<const char*, Call>> calls{
      {"conv2d", [&](auto c) { return conv2d(c(image), c(filters), c(bias), {.activation = Activation::relu}); }},
      {"conv2d, add of 16 bits",
       [&](auto c) {
         return conv2d(c(image), c(filters), c(bias),
                       {.activation = Activation::relu,
                        .add = add.to(autocast_dtype() == DType::float32 ? c(add).dtype() : autocast_dtype())});
       }},
      {"conv2d_max_pool2d",
       [&](auto c) {
         return conv2d_max_pool2d(c(image), c(filters), c(bias), {.activation = Activation::relu}, {.kernel = 2});
       }},
      {"conv1d", [&](auto c) { return conv1d(c(row), c(taps), c(bias)); }},
      {"conv_transpose2d", [&](auto c) { return conv_transpose2d(c(image), c(up), c(bias)); }},
      {"linear", [&](auto c) { return linear(c(x), c(w), c(bias), {.activation = Activation::gelu_tanh}); }},
      {"matmul", [&](auto c) { return matmul(c(x), c(w).t()); }},
      {"bmm", [&](auto c) { return bmm(c(stack), c(stack).transpose(1, 2)); }},
      {"prelu", [&](auto c) { return prelu(c(image), c(slope)); }},
      {"lstm", [&](auto c) {
         const RecurrentWeights w{c(recurrent[0]), c(recurrent[1]), c(recurrent[2]), c(recurrent[3])};
         return lstm(c(sequence), {w}).output;
       }}};
  for (const DType type : {DType::bfloat16, DType::float16})
    for (const auto& [name, call] : calls) {
      SCOPED_TRACE(std::string(name) + " in " + name_of(type));
      const Tensor expected = call([&](const Tensor& t) { return t.to(type); });
      const Autocast autocast(type);
      const Tensor actual = call([](const Tensor& t) { return t; });
      EXPECT_EQ(actual.dtype(), type);
      EXPECT_EQ(values(actual), values(expected));
    }
}

TEST_F(AutocastTest, AnAddOfFloat32WidensTheResult) {
  const Tensor image = randn({2, 4, 5, 5}, there), filters = randn({4, 4, 3, 3}, there);
  const Tensor x = randn({3, 4}, there), w = randn({4, 4}, there);
  const Autocast autocast(DType::bfloat16);
  const Tensor y = conv2d(image, filters, {}, {.padding = 1, .activation = Activation::relu, .add = image});
  EXPECT_EQ(y.dtype(), DType::float32);
  EXPECT_EQ(values(y), values(relu(conv2d(image, filters, {}, {.padding = 1}) + image)));
  const Tensor ones_of = ones({4}, there), features = image.to(DType::bfloat16);
  const Tensor n = batch_norm(features, ones_of, ones_of, {}, {}, {.activation = Activation::relu, .add = image});
  EXPECT_EQ(n.dtype(), DType::float32);
  EXPECT_EQ(values(n), values(relu(batch_norm(features, ones_of, ones_of, {}, {}) + image)));
  EXPECT_EQ(values(cat({image, features}, 1)), values(cat({image, features.to(DType::float32)}, 1)));
  EXPECT_EQ(cat({features, features}, 1).dtype(), DType::bfloat16);
  const Tensor z = linear(x, w, {}, {.add = x});
  EXPECT_EQ(z.dtype(), DType::float32);
  EXPECT_EQ(values(z), values(linear(x, w) + x));
}

TEST_F(AutocastTest, OperationsOfFloat32WidenTheirInputs) {
  const Tensor x = (rand({4, 6}, there) + 0.5).to(DType::bfloat16), y = (rand({4, 6}, there) + 0.5).to(DType::bfloat16);
  const Tensor labels = tensor({0, 5, 1, 2}, {4}, {.dtype = DType::int64}).to(Device::cuda());
  using Call = std::function<Tensor(const Tensor&, const Tensor&)>;
  const std::vector<std::pair<const char*, Call>> calls{
      {"exp", [](auto a, auto) { return exp(a); }},
      {"log", [](auto a, auto) { return log(a); }},
      {"log1p", [](auto a, auto) { return log1p(a); }},
      {"expm1", [](auto a, auto) { return expm1(a); }},
      {"rsqrt", [](auto a, auto) { return rsqrt(a); }},
      {"reciprocal", [](auto a, auto) { return reciprocal(a); }},
      {"softplus", [](auto a, auto) { return softplus(a); }},
      {"pow", [](auto a, auto b) { return pow(a, b) + pow(a, 3) + pow(2, b); }},
      {"sum", [](auto a, auto) { return sum(a); }},
      {"prod", [](auto a, auto) { return prod(a); }},
      {"cumsum", [](auto a, auto) { return cumsum(a, 1); }},
      {"norm", [](auto a, auto) { return norm(a); }},
      {"logsumexp", [](auto a, auto) { return logsumexp(a); }},
      {"softmax", [](auto a, auto) { return softmax(a, 1); }},
      {"log_softmax", [](auto a, auto) { return log_softmax(a, 1); }},
      {"cross_entropy", [&](auto a, auto) { return cross_entropy(a, labels); }},
      {"cross_entropy of shares", [](auto a, auto b) { return cross_entropy(a, b); }},
      {"classification_loss", [&](auto a, auto) { return classification_loss(a, labels).loss; }},
      {"nll_loss", [&](auto a, auto) { return nll_loss(a, labels); }},
      {"mse_loss", [](auto a, auto b) { return mse_loss(a, b); }},
      {"l1_loss", [](auto a, auto b) { return l1_loss(a, b); }},
      {"smooth_l1_loss", [](auto a, auto b) { return smooth_l1_loss(a, b); }},
      {"huber_loss", [](auto a, auto b) { return huber_loss(a, b); }},
      {"bce_with_logits", [](auto a, auto b) { return bce_with_logits(a, b); }},
      {"kl_div", [](auto a, auto b) { return kl_div(a, b); }},
      {"quadratic_cost", [](auto a, auto b) { return quadratic_cost(a, b); }}};
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    const Tensor expected = call(x.to(DType::float32), y.to(DType::float32));
    const Autocast autocast(DType::bfloat16);
    const Tensor actual = call(x, y);
    EXPECT_EQ(actual.dtype(), DType::float32);
    EXPECT_EQ(values(actual), values(expected));
  }
}

TEST_F(AutocastTest, OthersFollowTheirInputs) {
  const Tensor x = randn({4, 6}, there), narrow = x.to(DType::float16);
  const Autocast autocast(DType::float16);
  EXPECT_EQ(relu(x).dtype(), DType::float32);
  EXPECT_EQ(relu(narrow).dtype(), DType::float16);
  EXPECT_EQ((narrow + x).dtype(), DType::float32);
  EXPECT_EQ(mean(narrow).dtype(), DType::float16);
  EXPECT_EQ(dot(x.reshape({-1}), narrow.reshape({-1})).dtype(), DType::float32);
  EXPECT_EQ(linear(x.to(DType::float64), ones({2, 6}, there).to(DType::float64)).dtype(), DType::float64);
  BatchNorm2d norm(3);
  norm.to(Device::cuda());
  EXPECT_EQ(norm(conv2d(randn({2, 3, 4, 4}, there), randn({3, 3, 1, 1}, there))).dtype(), DType::float16);
}

TEST_F(AutocastTest, WhetherPoolingIsFusedIsAskedForTheTypeOfTheResult) {
  const Tensor image = randn({2, 4, 6, 6}, there), filters = parameter({6, 4, 3, 3}), bias = parameter({6});
  const Tensor wide = image.to(DType::float64), add = randn({2, 6, 4, 4}, there);
  const auto fuses = [&](const Tensor& x) { return fuses_conv2d_max_pool2d(x, filters, bias, {}, {.kernel = 2}); };
  const Autocast autocast(DType::bfloat16);
  EXPECT_TRUE(fuses(image));
  EXPECT_TRUE(fuses(image.to(DType::bfloat16)));
  EXPECT_FALSE(fuses(wide));
  EXPECT_EQ(casts([&] { fuses(image); }), 0);
  const Tensor y = conv2d_max_pool2d(image, filters, bias, {}, {.kernel = 2});
  EXPECT_EQ(y.dtype(), DType::bfloat16);
  y.sum().backward();
  for (const Tensor& t : {filters, bias}) EXPECT_EQ(t.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(conv2d_max_pool2d(image, filters, bias, {.add = add}, {.kernel = 2}).dtype(), DType::float32);
}

// ---- shadows --------------------------------------------------------------------------------------------------------

TEST_F(AutocastTest, AWeightIsCastOncePerVersion) {
  Tensor w = parameter({4, 6});
  const Tensor x = randn({3, 6}, there).to(DType::bfloat16);
  const Autocast autocast(DType::bfloat16);
  EXPECT_EQ(casts([&] { linear(x, w); }), 1);
  EXPECT_EQ(casts([&] { linear(x, w), linear(x, w); }), 0);
  {
    const NoGrad no_grad;
    EXPECT_EQ(casts([&] { linear(x, w); }), 0);
    w.add_(1);
  }
  EXPECT_EQ(casts([&] { linear(x, w), linear(x, w); }), 1) << "it was changed in place";
  w.set_data(w.detach() * 2);
  EXPECT_EQ(casts([&] { linear(x, w); }), 1) << "it has other elements";
  EXPECT_EQ(values(linear(x, w)), values(linear(x, w.detach().to(DType::bfloat16))));
  {
    const Autocast half(DType::float16);
    EXPECT_EQ(linear(x, w).dtype(), DType::float16);
  }
  EXPECT_EQ(values(linear(x, w)), values(linear(x, w.detach().to(DType::bfloat16)))) << "one shadow at a time";
}

TEST_F(AutocastTest, TheOptimizerRenewsTheShadows) {
  for (const DType type : {DType::bfloat16, DType::float16}) {
    const Tensor w = parameter({4, 6}), b = parameter({4}), x = randn({3, 6}, there).to(type);
    const Tensor unused = parameter({5});
    AdamW adam({w, b, unused}, {.lr = 0.1});
    for (int step = 0; step < 3; ++step) {
      adam.zero_grad();
      Tensor loss;
      {
        const Autocast autocast(type);
        EXPECT_EQ(casts([&] { loss = linear(x, w, b); }), step == 0 ? 2 : 0) << "step " << step;
        loss = loss.sum();
      }
      loss.backward();
      EXPECT_EQ(w.grad().dtype(), type);
      EXPECT_EQ(runs_of("optimizer_kernel", [&] { adam.step(); }), 1) << "one launch for all";
      const Autocast autocast(type);
      Tensor y;
      EXPECT_EQ(casts([&] { y = linear(x, w, b); }), 0);
      EXPECT_EQ(values(y), values(linear(x, w.detach().to(type), b.detach().to(type))));
    }
  }
}

TEST_F(AutocastTest, AnUpdateMoves20BytesPerParameter) {
  const Tensor w = parameter({64, 100}), x = randn({3, 100}, there);
  SGD sgd({w}, {.lr = 0.1, .momentum = 0.9});
  const auto pass = [&] {
    sgd.zero_grad();
    const Autocast autocast(DType::bfloat16);
    linear(x, w).sum().backward();
  };
  pass(), sgd.step(), pass();
  Profiler profiler;
  {
    const auto running = profiler.start();
    sgd.step();
  }
  ASSERT_EQ(profiler.by_operation().size(), 1u);
  EXPECT_EQ(profiler.by_operation()[0].name, "sgd_update");
  EXPECT_EQ(profiler.by_operation()[0].total().bytes, 20 * w.numel());
}

TEST_F(AutocastTest, ClippingAndScalingTakeFewLaunches) {
  std::vector<Tensor> parameters;
  for (int64_t i = 0; i < 20; ++i) {
    parameters.push_back(parameter({10 + 500 * i}));
    const DType type = i % 2 == 0 ? DType::float32 : DType::float16;
    parameters.back().set_grad(randn(parameters.back().shape(), there).to(type));
  }
  EXPECT_EQ(runs_of("kernel", [&] { clip_grad_norm_(parameters, 1); }), 3);
  SGD sgd(parameters, {.lr = 0.1});
  GradScaler scaler;
  scaler.scale(ones({}, there));
  scaler.step(sgd), scaler.update();  // which makes the counter of skipped steps
  EXPECT_EQ(runs_of("kernel", [&] { scaler.step(sgd, {.clip_norm = 1}); }), 3);
  EXPECT_EQ(runs_of("kernel", [&] { scaler.update(); }), 1);
}

TEST_F(AutocastTest, ASkippedUpdateLeavesStaleShadowsStale) {
  Tensor w = parameter({4, 6});
  const Tensor x = randn({3, 6}, there).to(DType::bfloat16);
  SGD sgd({w}, {.lr = 0.1});
  const Autocast autocast(DType::bfloat16);
  linear(x, w).sum().backward();
  {
    const NoGrad no_grad;
    w.add_(1);
  }
  sgd.step({.skip = ones({}, there)});
  EXPECT_EQ(values(linear(x, w)), values(linear(x, w.detach().to(DType::bfloat16))));
}

TEST_F(AutocastTest, AShadowThatChangedSinceTheForwardPassIsNotUsed) {
  const Tensor w = parameter({4, 6}), x = randn({3, 6}, there).set_requires_grad();
  SGD sgd({w}, {.lr = 0.1});
  const Autocast autocast(DType::bfloat16);
  const Tensor first = linear(x, w).sum(), second = linear(x, w).sum();
  first.backward();
  sgd.step();
  EXPECT_THROW(second.backward(), AutogradError);
}

// ---- gradients ------------------------------------------------------------------------------------------------------

TEST_F(AutocastTest, AGradientIsOf16BitsUntilASecondOneIsAdded) {
  const Tensor w = parameter({4, 6}), x = randn({3, 6}, there), upstream = randn({3, 4}, there).to(DType::bfloat16);
  const auto pass = [&](DType type) {
    const Autocast autocast(type);
    const Tensor y = linear(x, w);
    y.backward(upstream.to(y.dtype()));
  };
  Tensor narrow = w.detach().to(DType::bfloat16).set_requires_grad();
  linear(x.to(DType::bfloat16), narrow).backward(upstream);
  const List once = values(narrow.grad());
  List twice = once;
  for (double& g : twice) g *= 2;

  pass(DType::bfloat16);
  EXPECT_EQ(w.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(values(w.grad()), once);
  const auto* address = w.grad().data<bfloat16>();
  Tensor(w).zero_grad();
  pass(DType::bfloat16);
  EXPECT_EQ(values(w.grad()), once);
  EXPECT_EQ(w.grad().data<bfloat16>(), address);
  pass(DType::bfloat16);
  EXPECT_EQ(w.grad().dtype(), DType::float32);
  EXPECT_EQ(values(w.grad()), twice);
  const float* wide = w.grad().data<float>();
  Tensor(w).zero_grad();
  pass(DType::bfloat16);
  EXPECT_EQ(w.grad().data<float>(), wide) << "it keeps its address from now on";
  EXPECT_EQ(values(w.grad()), once);

  const Tensor v = parameter({4, 6});
  v.detach().copy_(w.detach());
  const auto pass_v = [&](DType type) {
    const Autocast autocast(type);
    linear(x, v).sum().backward();
  };
  pass_v(DType::bfloat16);
  EXPECT_EQ(v.grad().dtype(), DType::bfloat16);
  Tensor(v).zero_grad();
  pass_v(DType::float32);
  EXPECT_EQ(v.grad().dtype(), DType::float32) << "nothing is rounded to what was there before";
  EXPECT_EQ(x.grad().defined(), false);
}

TEST_F(AutocastTest, AWeightThatIsUsedTwiceGetsAGradientOfFloat32) {
  const Tensor w = parameter({4, 4}), x = randn({3, 4}, there);
  Tensor y;
  {
    const Autocast autocast(DType::bfloat16);
    y = linear(linear(x, w), w).sum();
  }
  y.backward();
  EXPECT_EQ(w.grad().dtype(), DType::float32);
}

TEST_F(AutocastTest, BiasesBeforeReluGetTheGradientsOfTheirPassAlone) {
  const Tensor w = parameter({8, 8}), b = parameter({8}), v = parameter({8, 8}), x = randn({16, 8}, there);
  const auto pass = [&] {
    for (const Tensor& t : {w, b, v}) Tensor(t).zero_grad();
    const Autocast autocast(DType::bfloat16);
    linear(linear(x, w, b, {.activation = Activation::relu}), v).sum().backward();
    return values(b.grad());
  };
  const List expected = pass();
  EXPECT_EQ(b.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(pass(), expected);
  Tensor(b).set_grad(zeros({8}, there));
  EXPECT_EQ(b.grad().dtype(), DType::float32);
  EXPECT_EQ(pass(), expected);
  EXPECT_EQ(b.grad().dtype(), DType::float32);
}

TEST_F(AutocastTest, ActivationsGetGradientsOfTheirType) {
  const Tensor x = randn({3, 6}, there).set_requires_grad(), w = parameter({4, 6});
  Tensor y;
  {
    const Autocast autocast(DType::bfloat16);
    y = linear(x, w);
    y.sum().backward();  // also inside of the scope
  }
  EXPECT_EQ(x.grad().dtype(), DType::float32);
}

TEST_F(AutocastTest, GradientsCanBeSetIn16Bits) {
  Tensor w = parameter({3});
  w.set_grad(ones({3}, {DType::bfloat16, Device::cuda()}));
  EXPECT_EQ(w.grad().dtype(), DType::bfloat16);
  w.set_grad(full({3}, 1.0009765625, there));
  EXPECT_EQ(w.grad().dtype(), DType::float32);
  EXPECT_EQ(values(w.grad()), List(3, 1.0009765625));
  EXPECT_ERROR(w.set_grad(ones({3}, {DType::float64, Device::cuda()})), DTypeError,
               "set_grad: the gradient is float64, expected float32 (shape [3])");
}

// What PyTorch 2.15 computes under torch.autocast("cpu", torch.bfloat16) for the same numbers.
TEST_F(AutocastTest, AgreesWithPyTorch) {
  const auto made = [](const Shape& shape, double k) {
    List list;
    for (int64_t i = 0; i < shape.numel(); ++i) list.push_back(std::sin(k + 1.3 * static_cast<double>(i)));
    return from_values(list, shape).to(DType::float32).to(Device::cuda());
  };
  const Tensor x = made({4, 6}, 0), w1 = made({5, 6}, 1).set_requires_grad(), b1 = made({5}, 2).set_requires_grad();
  const Tensor w2 = made({3, 5}, 3).set_requires_grad();
  const Tensor labels = tensor({0, 2, 1, 2}, {4}, {.dtype = DType::int64}).to(Device::cuda());
  Tensor loss;
  {
    const Autocast autocast(DType::bfloat16);
    loss = cross_entropy(linear(relu(linear(x, w1, b1)), w2), labels);
  }
  loss.backward();
  EXPECT_NEAR(loss.item(), 1.3286620378494263, 5e-3);
  const auto expect = [](const Tensor& gradient, const List& expected) {
    EXPECT_EQ(gradient.dtype(), DType::bfloat16);
    const List actual = values(gradient);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 0.02 * std::fabs(expected[i]) + 1e-3) << i;
  };
  expect(w1.grad(), {0.09082, -0.003601, -0.092773, -0.045898, 0.067871, 0.08252, 0.016602, 0.001762});
  expect(b1.grad(), {0.057129, 0.019897, -0.028931, 0.00354, 0.033936});
  expect(w2.grad(), {0.46875, 0.486328, 0.109863, -0.102539, 0.333984, 0.386719, -0.251953, 0.091797});
}

TEST(PrecisionNames, AreReadAndWritten) {
  for (const Arithmetic p : {Arithmetic::float32, Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16})
    EXPECT_EQ(arithmetic_of(name_of(p)), p);
  EXPECT_EQ(arithmetic_of("fp32"), Arithmetic::float32);
  EXPECT_EQ(arithmetic_of("bf16"), Arithmetic::bfloat16);
  EXPECT_EQ(arithmetic_of("fp16"), Arithmetic::float16);
  EXPECT_ERROR(arithmetic_of("int8"), ArgumentError,
               "precision is 'int8', expected float32 (fp32), tf32, bfloat16 (bf16) or float16 (fp16)");
}

}  // namespace
}  // namespace dnn::simt::test
