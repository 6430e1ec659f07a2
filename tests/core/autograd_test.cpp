// The autograd engine: what flows where, in which order, how often, and what it refuses.
#include "dnn/autograd.h"

#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "dnn/ops.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using ::testing::ElementsAre;

Tensor leaf(std::initializer_list<double> values) { return tensor(values).set_requires_grad(); }
std::vector<float> gradient(const Tensor& t) { return t.grad().to_vector<float>(); }

TEST(Autograd, FollowsAChain) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = square(x * 2) + 1;  // dy/dx = 8 x
  EXPECT_TRUE(y.requires_grad());
  EXPECT_FALSE(y.is_leaf());
  EXPECT_TRUE(x.is_leaf());
  y.sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(8, 16, 24));
  EXPECT_FALSE(y.has_grad());  // only leaves keep gradients
}

TEST(Autograd, AddsUpInADiamond) {
  const Tensor x = leaf({3});
  const Tensor y = x * x;
  const Tensor z = y * 2 + y * y;  // 2 x^2 + x^4
  z.sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(4 * 3 + 4 * 27));
}

TEST(Autograd, AddsUpOverManyUses) {
  const Tensor x = leaf({2, 5});
  Tensor total = zeros({2});
  for (int i = 0; i < 10; ++i) total = total + x * i;
  total.sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(45, 45));
}

TEST(Autograd, OneTensorMayBeBothOperands) {
  const Tensor x = leaf({3, -2});
  (x + x).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(2, 2));
  x.grad();
  Tensor(x).zero_grad();
  (x * x).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(6, -4));
  Tensor(x).zero_grad();
  (x - x).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(0, 0));
  Tensor(x).zero_grad();
  (x / x).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(0, 0));
  const Tensor m = tensor({1, 2, 3, 4}, {2, 2}).set_requires_grad();
  matmul(m, m).sum().backward();
  EXPECT_THAT(gradient(m), ElementsAre(3 + 4, 7 + 4, 3 + 6, 7 + 6));
}

TEST(Autograd, ABranchOutsideTheGraphGetsNothing) {
  const Tensor x = leaf({1, 2}), unused = leaf({5, 6});
  const Tensor side = unused * 3;
  (x * 2).sum().backward();
  EXPECT_TRUE(x.has_grad());
  EXPECT_FALSE(unused.has_grad());
  EXPECT_FALSE(unused.grad().defined());
}

TEST(Autograd, DetachCutsTheGraph) {
  const Tensor x = leaf({2});
  const Tensor y = x * 3;
  const Tensor cut = y.detach();
  EXPECT_FALSE(cut.requires_grad());
  EXPECT_TRUE(cut.is_leaf());
  EXPECT_EQ(cut.data<float>(), y.data<float>());
  (y * cut).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(18));
}

TEST(Autograd, NoGradRecordsNothing) {
  const Tensor x = leaf({2});
  EXPECT_TRUE(grad_enabled());
  {
    NoGrad no_grad;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * 2).requires_grad());
    {
      EnableGrad enable;
      EXPECT_TRUE((x * 2).requires_grad());
    }
    EXPECT_FALSE(grad_enabled());
    bool other_thread = false;
    std::thread([&] { other_thread = grad_enabled(); }).join();
    EXPECT_TRUE(other_thread);
  }
  EXPECT_TRUE(grad_enabled());
}

TEST(Autograd, NoGradEndsWithAnException) {
  try {
    NoGrad no_grad;
    tensor({1, 2}).reshape({3});
  } catch (const ShapeError&) {
  }
  EXPECT_TRUE(grad_enabled());
}

TEST(Autograd, BackwardOfALeafIsItsUpstreamGradient) {
  const Tensor x = leaf({1, 2});
  x.backward(tensor({3, 4}));
  x.backward(tensor({3, 4}));
  EXPECT_THAT(gradient(x), ElementsAre(6, 8));
}

TEST(Autograd, AGradientIsNotTheUpstreamTensorItself) {
  const Tensor x = leaf({1, 2});
  Tensor upstream = tensor({3, 4});
  (x + 0).backward(upstream);
  upstream.fill_(9);
  EXPECT_THAT(gradient(x), ElementsAre(3, 4));
  const Tensor a = leaf({1}), b = leaf({2});
  (a + b).backward(tensor({5}));
  a.grad().fill_(7);
  EXPECT_THAT(gradient(b), ElementsAre(5));
}

TEST(Autograd, RefusesWhatItCannotDo) {
  const Tensor x = leaf({1, 2});
  EXPECT_ERROR(tensor({1}).backward(), AutogradError,
               "backward: the tensor does not require a gradient, expected one computed from a tensor that does (shape "
               "[1])");
  EXPECT_ERROR((x * 2).backward(), AutogradError,
               "backward: the tensor has 2 elements, expected 1 or an upstream gradient (shape [2])");
  EXPECT_ERROR((x * 2).sum().backward({.create_graph = true}), AutogradError,
               "backward: create_graph is not supported, gradients of gradients do not exist here");
  EXPECT_ERROR((x * 2).backward(tensor({1, 2, 3})), ShapeError,
               "backward: the upstream gradient is float32 [3] on cpu, expected float32 [2] on cpu");
  EXPECT_ERROR((x * 2).backward(tensor({1, 2}, {2}, {.dtype = DType::float64})), ShapeError,
               "backward: the upstream gradient is float64 [2] on cpu, expected float32 [2] on cpu");
}

TEST(Autograd, TheGraphServesOnce) {
  const Tensor x = leaf({3});
  const Tensor y = (x * x).sum();
  y.backward();
  EXPECT_ERROR(
      y.backward(), AutogradError,
      "backward: the graph was freed by an earlier backward pass at sum, expected {.retain_graph = true} in that "
      "pass");
  EXPECT_THAT(gradient(x), ElementsAre(6));
}

TEST(Autograd, AGraphFreedInPartIsRefusedBeforeAnythingFlows) {
  const Tensor x = leaf({3});
  const Tensor y = x * x;
  y.sum().backward();
  const Tensor other = leaf({1});
  EXPECT_ERROR(
      (y + other).sum().backward(), AutogradError,
      "backward: the graph was freed by an earlier backward pass at mul, expected {.retain_graph = true} in that "
      "pass");
  EXPECT_FALSE(other.has_grad());
  EXPECT_THAT(gradient(x), ElementsAre(6));
  // What is not freed still works, and so do the leaves.
  (x * other).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(7));
}

TEST(Autograd, RetainGraphKeepsIt) {
  const Tensor x = leaf({3});
  const Tensor y = (x * x).sum();
  y.backward({.retain_graph = true});
  y.backward({.retain_graph = true});
  y.backward();
  EXPECT_THAT(gradient(x), ElementsAre(18));
  EXPECT_THROW(y.backward(), AutogradError);
}

TEST(Autograd, RefusesInPlaceChangesOfWhatItRecords) {
  Tensor x = leaf({1, 2});
  const std::string text =
      ": the tensor requires a gradient, expected one that autograd does not record, or NoGrad (shape [2], a leaf)";
  EXPECT_ERROR(x.fill_(0), AutogradError, "fill_" + text);
  EXPECT_ERROR(x.zero_(), AutogradError, "fill_" + text);
  EXPECT_ERROR(x.copy_(tensor({3, 4})), AutogradError, "copy_" + text);
  EXPECT_ERROR(x.add_(tensor({3, 4})), AutogradError, "add_" + text);
  EXPECT_ERROR(x.add_(1), AutogradError, "add_" + text);
  EXPECT_ERROR(x.sub_(tensor({3, 4})), AutogradError, "sub_" + text);
  EXPECT_ERROR(x.mul_(tensor({3, 4})), AutogradError, "mul_" + text);
  EXPECT_ERROR(x.mul_(2), AutogradError, "mul_" + text);
  Tensor y = x * 2;
  EXPECT_ERROR(
      y.add_(1), AutogradError,
      "add_: the tensor requires a gradient, expected one that autograd does not record, or NoGrad (shape [2], a "
      "result)");
  Tensor view = x.slice(0, 0, 1);
  EXPECT_THROW(view.fill_(0), AutogradError);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(1, 2));
  NoGrad no_grad;
  x.add_(1);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(2, 3));
}

TEST(Autograd, RefusesRecordedOperandsOfInPlaceOperations) {
  Tensor x = tensor({1, 2});
  const Tensor w = leaf({3, 4});
  const std::string text =
      ": the operand requires a gradient, which an in-place operation does not record; expected an operation that is "
      "not "
      "in place, or NoGrad (shape [2])";
  EXPECT_ERROR(x.copy_(w), AutogradError, "copy_" + text);
  EXPECT_ERROR(x.add_(w), AutogradError, "add_" + text);
  EXPECT_ERROR(x.sub_(w), AutogradError, "sub_" + text);
  EXPECT_ERROR(x.mul_(w), AutogradError, "mul_" + text);
  NoGrad no_grad;
  EXPECT_THAT(x.add_(w).to_vector<float>(), ElementsAre(4, 6));
}

TEST(Autograd, NoticesThatASavedTensorWasModified) {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4});
  const Tensor y = (x * w).sum();
  w.detach().fill_(5);
  EXPECT_ERROR(y.backward(), AutogradError,
               "mul: a tensor that the backward pass needs was modified in place (shape [2], version 1, expected 0)");
  // A sum needs nothing, so nothing is wrong.
  const Tensor z = (x + w).sum();
  w.detach().fill_(6);
  z.backward();
}

TEST(Autograd, AChangeThroughAViewIsNoticed) {
  const Tensor x = leaf({1, 2, 3});
  Tensor data = tensor({4, 5, 6});
  const Tensor y = (x * data).sum();
  data.slice(0, 1, 2).fill_(0);
  EXPECT_THROW(y.backward(), AutogradError);
}

TEST(Autograd, ChangingTheResultOfExpIsNoticed) {
  const Tensor x = leaf({1, 2});
  const Tensor y = exp(x);
  y.detach().mul_(2);
  EXPECT_ERROR(y.sum().backward(), AutogradError,
               "exp: a tensor that the backward pass needs was modified in place (shape [2], version 1, expected 0)");
}

TEST(Autograd, RequiresGradIsForFloatingLeaves) {
  const Tensor x = leaf({1});
  Tensor y = x * 2;
  EXPECT_ERROR(y.set_requires_grad(false), AutogradError,
               "set_requires_grad: the tensor is the result of mul, expected a leaf (shape [1])");
  Tensor labels = arange(0, 3);
  EXPECT_ERROR(labels.set_requires_grad(), DTypeError,
               "set_requires_grad: tensor is int64, expected a floating type (tensor [3])");
  labels.set_requires_grad(false);
  EXPECT_TRUE(zeros({2}, {.requires_grad = true}).requires_grad());
  EXPECT_THROW(zeros({2}, {.dtype = DType::int32, .requires_grad = true}), DTypeError);
  Tensor frozen = leaf({1});
  frozen.set_requires_grad(false);
  EXPECT_FALSE((frozen * 2).requires_grad());
}

// ---- .grad
// -----------------------------------------------------------------------------------------------------------

TEST(Grad, ZeroGradMarksAndTheNextPassOverwrites) {
  Tensor x = leaf({1, 2});
  (x * 3).sum().backward();
  const float* address = x.grad().data<float>();
  x.zero_grad();
  EXPECT_FALSE(x.has_grad());
  EXPECT_FALSE(x.grad().defined());
  (x * 5).sum().backward();
  EXPECT_TRUE(x.has_grad());
  EXPECT_THAT(gradient(x), ElementsAre(5, 5));
  EXPECT_EQ(x.grad().data<float>(), address);
}

TEST(Grad, KeepsItsAddressOverSteps) {
  Tensor w = rand({4, 3}, {.requires_grad = true}), b = zeros({4}, {.requires_grad = true});
  const float *w_address = nullptr, *b_address = nullptr;
  for (int step = 0; step < 5; ++step) {
    square(linear(rand({2, 3}), w, b)).sum().backward();
    if (step == 0) w_address = w.grad().data<float>(), b_address = b.grad().data<float>();
    EXPECT_EQ(w.grad().data<float>(), w_address);
    EXPECT_EQ(b.grad().data<float>(), b_address);
    w.zero_grad(), b.zero_grad();
  }
}

TEST(Grad, SurvivesNaNOfAnEarlierPass) {
  // Overwriting must not be a multiplication by zero.
  Tensor x = leaf({0});
  log(x).sum().backward();
  x.zero_grad();
  (x * 2).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(2));
}

TEST(Grad, CanBeSetAndTakenAway) {
  Tensor x = leaf({1, 2});
  x.set_grad(tensor({5, 6}));
  const float* address = x.grad().data<float>();
  x.set_grad(tensor({7, 8}));
  EXPECT_THAT(gradient(x), ElementsAre(7, 8));
  EXPECT_EQ(x.grad().data<float>(), address);
  (x * 1).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(8, 9));
  x.set_grad({});
  EXPECT_FALSE(x.has_grad());
  EXPECT_ERROR(x.set_grad(tensor({1})), ShapeError, "set_grad: the gradient has shape [1], expected [2]");
  EXPECT_ERROR(x.set_grad(tensor({1, 2}, {2}, {.dtype = DType::float64})), DTypeError,
               "set_grad: the gradient is float64, expected float32 (shape [2])");
}

TEST(Grad, SetGradCopies) {
  Tensor x = leaf({1, 2});
  Tensor g = tensor({5, 6});
  x.set_grad(g);
  g.fill_(0);
  EXPECT_THAT(gradient(x), ElementsAre(5, 6));
}

TEST(Grad, HasTheTypeOfItsTensor) {
  const Tensor half = tensor({1, 2}, {2}, {.dtype = DType::bfloat16}).set_requires_grad();
  const Tensor full = leaf({3, 4});
  (half * full).sum().backward();
  EXPECT_EQ(half.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(full.grad().dtype(), DType::float32);
  EXPECT_THAT(half.grad().to(DType::float32).to_vector<float>(), ElementsAre(3, 4));
}

// ---- broadcasting and views
// ------------------------------------------------------------------------------------------

TEST(Autograd, SumsOutBroadcastDimensions) {
  const Tensor row = leaf({1, 2, 3});
  const Tensor column = tensor({10, 20}, {2, 1}).set_requires_grad();
  const Tensor scalar = tensor({5}, {}).set_requires_grad();
  ((row + column) * scalar).sum().backward();
  EXPECT_THAT(gradient(row), ElementsAre(10, 10, 10));
  EXPECT_THAT(gradient(column), ElementsAre(15, 15));
  EXPECT_THAT(gradient(scalar), ElementsAre(102));
  EXPECT_EQ(column.grad().shape(), (Shape{2, 1}));
  EXPECT_EQ(scalar.grad().shape(), Shape{});
}

TEST(Autograd, GradientsFindThroughViews) {
  const Tensor x = tensor({1, 2, 3, 4, 5, 6}, {2, 3}).set_requires_grad();
  (x.t()[1] * tensor({10, 20})).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(0, 10, 0, 0, 20, 0));
  Tensor(x).zero_grad();
  x.slice(1, 0, 3, 2).reshape({4}).unsqueeze(0).expand({2, 4}).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(2, 0, 2, 2, 0, 2));
  Tensor(x).zero_grad();
  cat({x, x.slice(0, 0, 1)}).flatten(0).sum().backward();
  EXPECT_THAT(gradient(x), ElementsAre(2, 2, 2, 1, 1, 1));
}

}  // namespace
}  // namespace dnn
