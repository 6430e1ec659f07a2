// Matrix products on the GPU: the translation into cuBLASLt's problems, which epilogues are asked for, and what happens
// where the library has none.
#include "tests/simt/matmul.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <unordered_set>

#include "cuda/context.h"
#include "cuda/kernels.h"
#include "cuda/matmul_choice.h"
#include "cuda/matmul_problem.h"
#include "cuda/plan_cache.h"
#include "dnn/ops/activation.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/linear.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"
#include "dnn/ops/unary.h"
#include "dnn/precision.h"
#include "tests/harness/errors.h"
#include "tests/harness/product_shapes.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

using cuda::batched_problem;
using cuda::gemm_problem;
using cuda::linear_problem;
using cuda::LinearExtras;
using cuda::MatmulAddend;
using cuda::MatmulCompute;
using cuda::MatmulEpilogue;
using cuda::MatmulMatrix;
using cuda::MatmulProblem;
using cuda::relu_gradient_problem;
using cuda::relu_problem;
using cuda::weight_gradient_problem;
using dnn::test::product_shapes;
using ::testing::ElementsAre;

// ---- translation ----------------------------------------------------------------------------------------------------

// Checked by the stand-in, which refuses what cuBLASLt refuses.
void expect_plan(MatmulProblem problem) {
  problem.alignments.c = problem.addend == MatmulAddend::other ? 256 : 0;
  problem.alignments.bias = has_bias(problem.epilogue) ? 256 : 0;
  problem.alignments.aux = has_aux(problem.epilogue) ? 256 : 0;
  EXPECT_NE(cuda::make_matmul_plan(Device::cuda(), problem), nullptr) << problem.str();
}

void expect_matrices(const MatmulProblem& p, bool transpose_a, const MatmulMatrix& a, bool transpose_b,
                     const MatmulMatrix& b, const MatmulMatrix& d) {
  EXPECT_EQ(p.transpose_a, transpose_a) << p.str();
  EXPECT_EQ(p.transpose_b, transpose_b) << p.str();
  EXPECT_EQ(p.a, a) << p.str();
  EXPECT_EQ(p.b, b) << p.str();
  EXPECT_EQ(p.d, d) << p.str();
  EXPECT_EQ(p.batch, 1);
  expect_plan(p);
}

TEST(MatmulProblem, LayersOfTheNetworksForward) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : floating_types) {
      SCOPED_TRACE(name);
      const bool fused = type != DType::float64;
      const auto p = linear_problem(type, m, n, k, {.bias = true, .activation = Activation::relu}, fused, fused, false);
      ASSERT_TRUE(p);
      expect_matrices(*p, true, {k, n, k, 0}, false, {k, m, k, 0}, {n, m, n, 0});
      EXPECT_EQ(p->epilogue, fused ? MatmulEpilogue::relu_bias : MatmulEpilogue::none);
      EXPECT_EQ(p->addend, MatmulAddend::none);
      EXPECT_EQ(p->depth(), k);
      EXPECT_EQ(p->type, type);
    }
}

TEST(MatmulProblem, LayersOfTheNetworksBackwardToTheInput) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : floating_types) {
      SCOPED_TRACE(name);
      const MatmulProblem p = gemm_problem(type, m, k, n, false, false, true, false);
      expect_matrices(p, false, {k, n, k, 0}, false, {n, m, n, 0}, {k, m, k, 0});
      EXPECT_EQ(p.addend, MatmulAddend::output);
      EXPECT_EQ(p.depth(), n);
    }
}

TEST(MatmulProblem, LayersOfTheNetworksBackwardToTheWeight) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : floating_types) {
      SCOPED_TRACE(name);
      const MatmulProblem plain = gemm_problem(type, n, k, m, true, false, false, false);
      expect_matrices(plain, false, {k, m, k, 0}, true, {n, m, n, 0}, {k, n, k, 0});
      EXPECT_EQ(plain.depth(), m);
      const auto p = weight_gradient_problem(type, m, n, k, true, false);
      ASSERT_EQ(p.has_value(), type != DType::float64);
      if (!p) continue;
      expect_matrices(*p, false, {k, m, k, 0}, true, {n, m, n, 0}, {k, n, k, 0});
      EXPECT_EQ(p->epilogue, MatmulEpilogue::bias_gradient);
      EXPECT_EQ(p->addend, MatmulAddend::output);
    }
}

TEST(MatmulProblem, LayersOfTheNetworksWithTheBitsOfRelu) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : floating_types) {
      SCOPED_TRACE(name);
      const auto there = relu_problem(type, m, n, k, false), back = relu_gradient_problem(type, m, n, k, false);
      ASSERT_EQ(there.has_value(), type != DType::float64);
      ASSERT_EQ(back.has_value(), type != DType::float64);
      if (!there) continue;
      expect_matrices(*there, true, {k, n, k, 0}, false, {k, m, k, 0}, {n, m, n, 0});
      EXPECT_EQ(there->aux_leading, (n + 127) / 128 * 128);
      expect_matrices(*back, false, {k, n, k, 0}, false, {n, m, n, 0}, {k, m, k, 0});
      EXPECT_EQ(back->aux_leading, (k + 127) / 128 * 128);
    }
}

// All four ways in which factors lie, in a batch with gaps and with one matrix for all.
TEST(MatmulProblem, StacksOfMatrices) {
  const auto problem = [](kernel::BatchedOperand a, kernel::BatchedOperand b) {
    return batched_problem({12, 5, 7, 3, a, b}, DType::float32, false, false);
  };
  const MatmulProblem plain = problem({15, 3, false}, {21, 7, false});
  EXPECT_EQ(plain.batch, 12);
  EXPECT_EQ(plain.a, (MatmulMatrix{7, 3, 7, 21}));
  EXPECT_EQ(plain.b, (MatmulMatrix{3, 5, 3, 15}));
  EXPECT_EQ(plain.d, (MatmulMatrix{7, 5, 7, 35}));
  expect_plan(plain);
  const MatmulProblem turned = problem({40, 8, true}, {0, 3, true});
  EXPECT_TRUE(turned.transpose_a && turned.transpose_b);
  EXPECT_EQ(turned.a, (MatmulMatrix{3, 7, 3, 0}));
  EXPECT_EQ(turned.b, (MatmulMatrix{5, 3, 8, 40}));
  expect_plan(turned);
  EXPECT_FALSE(plain == turned);
}

TEST(MatmulProblem, ComputesAsPreciselyAsAskedFor) {
  const auto compute = [](DType type, bool tf32) {
    return gemm_problem(type, 2, 2, 2, false, false, false, tf32).compute;
  };
  for (const bool tf32 : {false, true}) {
    EXPECT_EQ(compute(DType::float64, tf32), MatmulCompute::float64);
    EXPECT_EQ(compute(DType::float16, tf32), MatmulCompute::float32);
    EXPECT_EQ(compute(DType::bfloat16, tf32), MatmulCompute::float32);
  }
  EXPECT_EQ(compute(DType::float32, false), MatmulCompute::float32);
  EXPECT_EQ(compute(DType::float32, true), MatmulCompute::tf32);
}

TEST(MatmulProblem, EpiloguesOfLinear) {
  constexpr Activation none = Activation::none, relu = Activation::relu, gelu = Activation::gelu_tanh;
  const auto epilogue = [](DType type, LinearExtras extras, int64_t n = 16, bool tf32 = false, bool bias = true,
                           bool activation = true) -> std::optional<MatmulEpilogue> {
    const auto p = linear_problem(type, 4, n, 4, extras, bias, activation, tf32);
    if (!p) return std::nullopt;
    EXPECT_EQ(p->addend, extras.add ? MatmulAddend::other : MatmulAddend::none);
    EXPECT_EQ(p->aux_leading, has_aux(p->epilogue) ? n : 0);
    expect_plan(*p);
    return p->epilogue;
  };
  const DType half = DType::bfloat16;
  EXPECT_EQ(epilogue(half, {}), MatmulEpilogue::none);
  EXPECT_EQ(epilogue(half, {.bias = true, .add = true}), MatmulEpilogue::bias);
  EXPECT_EQ(epilogue(half, {.activation = relu}), MatmulEpilogue::relu);
  EXPECT_EQ(epilogue(half, {.bias = true, .add = true, .activation = relu}), MatmulEpilogue::relu_bias);
  EXPECT_EQ(epilogue(half, {.add = true, .activation = gelu}), MatmulEpilogue::gelu_aux);
  EXPECT_EQ(epilogue(half, {.bias = true, .activation = gelu}), MatmulEpilogue::gelu_aux_bias);
  // The matrix of arguments wants columns in eights, and float32 wants gelu as exact as our own.
  EXPECT_EQ(epilogue(half, {.activation = gelu}, 12), std::nullopt);
  EXPECT_EQ(epilogue(DType::float32, {.activation = gelu}), std::nullopt);
  EXPECT_EQ(epilogue(DType::float32, {.activation = gelu}, 16, true), MatmulEpilogue::gelu_aux);
  EXPECT_EQ(epilogue(DType::float32, {.bias = true, .activation = relu}), MatmulEpilogue::relu_bias);
  EXPECT_EQ(epilogue(DType::float64, {.bias = true}), std::nullopt);
  EXPECT_EQ(epilogue(DType::float64, {.activation = relu}), std::nullopt);
  EXPECT_EQ(epilogue(DType::float64, {.bias = true, .add = true}, 16, false, false), MatmulEpilogue::none);
  // In parts: the activation comes after the bias.
  EXPECT_EQ(epilogue(half, {.bias = true, .activation = relu}, 16, false, true, false), MatmulEpilogue::bias);
  EXPECT_EQ(epilogue(half, {.bias = true, .activation = relu}, 16, false, false, false), MatmulEpilogue::none);
  EXPECT_EQ(epilogue(half, {.bias = true, .activation = relu}, 16, false, false, true), std::nullopt);
  EXPECT_EQ(epilogue(half, {.activation = none}, 16, false, false, true), MatmulEpilogue::none);
}

TEST(MatmulProblem, IsAKeyOfAllThatMatters) {
  std::vector<MatmulProblem> all;
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : floating_types) {
      all.push_back(gemm_problem(type, m, n, k, false, true, false, false));
      all.push_back(gemm_problem(type, m, n, k, false, true, true, false));
      all.push_back(gemm_problem(type, m, n, k, false, false, false, false));
      if (type == DType::float32) all.push_back(gemm_problem(type, m, n, k, false, true, false, true));
      if (type != DType::float64) all.push_back(*linear_problem(type, m, n, k, {.bias = true}, true, true, false));
      if (type != DType::float64) all.push_back(*relu_problem(type, m, n, k, false));
      if (type != DType::float64) all.push_back(*relu_gradient_problem(type, m, n, k, false));
      all.push_back(all.back());
      all.back().alignments.a = 4;
    }
  const std::unordered_set<MatmulProblem, cuda::MatmulProblemHash> distinct(all.begin(), all.end());
  EXPECT_EQ(distinct.size(), all.size());
  std::unordered_set<size_t> hashes;
  for (const MatmulProblem& problem : all) hashes.insert(cuda::MatmulProblemHash{}(problem));
  EXPECT_EQ(hashes.size(), all.size());
}

TEST(MatmulProblem, AlignmentsOfPointers) {
  const auto alignment = [](uintptr_t address) {
    return cuda::matmul_alignment(reinterpret_cast<const void*>(address));
  };
  EXPECT_EQ(alignment(0), 0);
  EXPECT_EQ(alignment(1024), 256);
  EXPECT_EQ(alignment(1024 + 128), 16);
  EXPECT_EQ(alignment(1024 + 16), 16);
  EXPECT_EQ(alignment(1024 + 8), 8);
  EXPECT_EQ(alignment(1024 + 6), 2);
  EXPECT_EQ(alignment(1024 + 1), 1);
}

TEST(MatmulProblem, TheStandInRefusesWhatCublasRefuses) {
  const auto expect_refused = [](const char* rule, MatmulProblem problem, auto&& spoil) {
    spoil(problem);
    try {
      cuda::make_matmul_plan(Device::cuda(), problem);
      FAIL() << "expected: " << rule;
    } catch (const BackendError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(rule));
    }
  };
  const MatmulProblem gemm = gemm_problem(DType::bfloat16, 4, 6, 8, false, false, false, false);
  MatmulProblem gelu =
      *linear_problem(DType::bfloat16, 4, 16, 8, {.activation = Activation::gelu_tanh}, true, true, false);
  gelu.alignments.aux = 256;
  MatmulProblem relu = *relu_problem(DType::float32, 4, 150, 8, false);
  relu.alignments.aux = relu.alignments.bias = 256;
  expect_refused("leading dimension", gemm, [](MatmulProblem& p) { p.b.leading = 7; });
  expect_refused("columns of D", gemm, [](MatmulProblem& p) { p.d.columns = 5; });
  expect_refused("share a size", gemm, [](MatmulProblem& p) { p.a.columns = 7; });
  expect_refused("must not overlap", gemm, [](MatmulProblem& p) { p.batch = 2; });
  expect_refused("not supported for float64", gemm, [](MatmulProblem& p) {
    p.type = DType::float64, p.compute = MatmulCompute::float64, p.epilogue = MatmulEpilogue::relu;
  });
  expect_refused("divide by 8", gelu, [](MatmulProblem& p) { p.aux_leading = 20; });
  expect_refused("divide by 8", gelu, [](MatmulProblem& p) { p.aux_leading = 8; });
  expect_refused("16 bytes", gelu, [](MatmulProblem& p) { p.alignments.aux = 8; });
  expect_refused("divide by 128", relu, [](MatmulProblem& p) { p.aux_leading = 160; });
  expect_refused("divide by 128", relu, [](MatmulProblem& p) { p.aux_leading = 128; });
  expect_refused("16 bytes", relu, [](MatmulProblem& p) { p.alignments.aux = 8; });
}

// ---- through the operations -----------------------------------------------------------------------------------------

std::vector<MatmulEpilogue> epilogues(const std::vector<MatmulProblem>& problems) {
  std::vector<MatmulEpilogue> result;
  for (const MatmulProblem& problem : problems) result.push_back(problem.epilogue);
  return result;
}

// A layer forward and backward on the emulated GPU against the CPU, in that type.
void expect_same_as_cpu(DType type, int64_t features, Activation activation, bool add) {
  const Tensor x = uniform({3, 5}, type), w = uniform({features, 5}, type), b = uniform({features}, type);
  const Tensor sum = add ? uniform({3, features}, type) : Tensor(), grad = uniform({3, features}, type);
  const auto run = [&](Device device) {
    std::vector<Tensor> inputs;
    for (const Tensor& t : {x, w, b, sum})
      inputs.push_back(t.defined() ? t.to(device).detach().set_requires_grad() : Tensor());
    const Tensor y = linear(inputs[0], inputs[1], inputs[2], {.activation = activation, .add = inputs[3]});
    y.backward(grad.to(device));
    std::vector<Tensor> results{y.detach()};
    for (const Tensor& t : inputs)
      if (t.defined()) results.push_back(t.grad());
    return results;
  };
  const auto expected = run(cpu), actual = run(cuda);
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::vector<double> wanted = expected[i].to(DType::float64).to_vector<double>();
    const std::vector<double> found = actual[i].to(cpu).to(DType::float64).to_vector<double>();
    for (size_t j = 0; j < wanted.size(); ++j)
      EXPECT_NEAR(found[j], wanted[j], 40 * unit(type)) << name_of(type) << ", result " << i << ", element " << j;
  }
}

TEST(Products, ALayerIsOneProductForwardAndTwoBackward) {
  take_products();
  expect_same_as_cpu(DType::float32, 16, Activation::relu, true);
  EXPECT_THAT(epilogues(take_products()),
              ElementsAre(MatmulEpilogue::relu_bias, MatmulEpilogue::none, MatmulEpilogue::bias_gradient))
      << "something is added";
  expect_same_as_cpu(DType::float32, 16, Activation::relu, false);
  EXPECT_THAT(epilogues(take_products()),
              ElementsAre(MatmulEpilogue::relu_aux_bias, MatmulEpilogue::none, MatmulEpilogue::bias_gradient))
      << "nobody has taken the offer";
  expect_same_as_cpu(DType::bfloat16, 16, Activation::gelu_tanh, false);
  EXPECT_THAT(epilogues(take_products()),
              ElementsAre(MatmulEpilogue::gelu_aux_bias, MatmulEpilogue::none, MatmulEpilogue::bias_gradient));
  expect_same_as_cpu(DType::float32, 16, Activation::gelu_tanh, true);
  EXPECT_THAT(epilogues(take_products()),
              ElementsAre(MatmulEpilogue::bias, MatmulEpilogue::none, MatmulEpilogue::bias_gradient));
  expect_same_as_cpu(DType::float64, 16, Activation::gelu_tanh, true);
  EXPECT_THAT(epilogues(take_products()),
              ElementsAre(MatmulEpilogue::none, MatmulEpilogue::none, MatmulEpilogue::none));
}

TEST(Products, WithoutAGradientTheProductIsTheSame) {
  const NoGrad no_grad;
  const Tensor w = gpu(uniform({16, 5}, DType::float16)).set_requires_grad();
  take_products();
  linear(gpu(uniform({3, 5}, DType::float16)), w, {}, {.activation = Activation::gelu_tanh});
  EXPECT_THAT(epilogues(take_products()), ElementsAre(MatmulEpilogue::gelu_aux));
}

TEST(Products, WithoutEpiloguesOwnKernelsDoTheRest) {
  int64_t features = 400;  // nowhere else
  for (const auto what : {Refusal::Of::activations, Refusal::Of::epilogues}) {
    const Refusal refusal(what);
    for (const DType type : {DType::float32, DType::bfloat16})
      for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu_tanh})
        for (const bool add : {false, true}) {
          // Rounded in between, an element may come to the other side of relu's kink.
          if (type == DType::bfloat16 && activation == Activation::relu) continue;
          take_products();
          expect_same_as_cpu(type, features += 8, activation, add);
          const auto expected = what == Refusal::Of::epilogues ? MatmulEpilogue::none : MatmulEpilogue::bias;
          EXPECT_EQ(take_products().front().epilogue, expected);
        }
  }
}

// ---- ReLU between two layers ----------------------------------------------------------------------------------------

struct Chain {
  Tensor x, w, b, v, c;  // of linear(relu(linear(x, w, b)), v, c)
};

Chain chain_on(Device device, const Chain& values) {
  const auto leaf = [&](const Tensor& t) { return t.to(device).detach().clone().set_requires_grad(); };
  return {leaf(values.x), leaf(values.w), leaf(values.b), leaf(values.v), leaf(values.c)};
}

Chain random_chain(int64_t features, DType type = DType::float32) {
  return {uniform({6, 5}, type), uniform({features, 5}, type), uniform({features}, type), uniform({7, features}, type),
          uniform({7}, type)};
}

// Runs `pass` on the emulated GPU and on the CPU, which must agree in all gradients; the epilogues that it took.
template <class Pass>
std::vector<MatmulEpilogue> expect_same_gradients(const Chain& values, const Pass& pass) {
  const Chain there = chain_on(cuda, values), here = chain_on(cpu, values);
  take_products();
  pass(there);
  const auto taken = epilogues(take_products());
  pass(here);
  for (const auto member : {&Chain::x, &Chain::w, &Chain::b, &Chain::v, &Chain::c}) {
    const auto found = (there.*member).grad().to(cpu).to(DType::float64).template to_vector<double>();
    const auto wanted = (here.*member).grad().to(DType::float64).template to_vector<double>();
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(found[i], wanted[i], 1000 * unit(values.x.dtype()) * (1 + std::abs(wanted[i])));
  }
  return taken;
}

Tensor hidden(const Chain& t) { return linear(t.x, t.w, t.b, {.activation = Activation::relu}); }
Tensor output(const Chain& t, const Tensor& y) { return linear(y, t.v, t.c); }

constexpr auto there_with_bits = MatmulEpilogue::relu_aux_bias, back_through_bits = MatmulEpilogue::relu_gradient;
constexpr auto none = MatmulEpilogue::none, bias = MatmulEpilogue::bias, bias_gradient = MatmulEpilogue::bias_gradient;

TEST(ReluBetweenLayers, IsPartOfTheProductsBothWays) {
  for (const int64_t features : {9, 128, 150}) {
    const auto taken = expect_same_gradients(random_chain(features), [](const Chain& t) {
      for (int pass = 0; pass < 2; ++pass) {
        for (Tensor leaf : {t.x, t.w, t.b, t.v, t.c}) leaf.zero_grad();
        sum(square(output(t, hidden(t)))).backward();
      }
    });
    EXPECT_THAT(std::vector(taken.begin(), taken.begin() + 6),
                ElementsAre(there_with_bits, bias, back_through_bits, bias_gradient, none, none));
  }
}

TEST(ReluBetweenLayers, GradientsAreAddedToOthersWhereTheLibraryCannot) {
  const auto taken = expect_same_gradients(random_chain(16), [](const Chain& t) {
    for (int pass = 0; pass < 2; ++pass) sum(square(output(t, hidden(t)))).backward();
  });
  EXPECT_EQ(std::count(taken.begin(), taken.end(), back_through_bits), 1) << "the bias has a gradient the second time";
}

TEST(ReluBetweenLayers, NobodyElseMayReadTheResult) {
  const auto twice = expect_same_gradients(random_chain(16), [](const Chain& t) {
    const Tensor y = hidden(t);
    sum(square(output(t, y)) + sum(y)).backward();
  });
  EXPECT_EQ(std::count(twice.begin(), twice.end(), back_through_bits), 0);
  const auto hooked = expect_same_gradients(random_chain(16), [](const Chain& t) {
    const Tensor y = hidden(t);
    y.register_hook([&](const Tensor& gradient) { EXPECT_EQ(gradient.shape(), y.shape()); });
    sum(square(output(t, y))).backward();
  });
  EXPECT_EQ(std::count(hooked.begin(), hooked.end(), back_through_bits), 0);
}

TEST(ReluBetweenLayers, AKeptGraphCanBeRunAgain) {
  expect_same_gradients(random_chain(16), [](const Chain& t) {
    const Tensor y = hidden(t), loss = sum(square(output(t, y)));
    loss.backward({.retain_graph = true});
    for (Tensor leaf : {t.x, t.w, t.b, t.v, t.c}) leaf.zero_grad();
    sum(y).backward({.retain_graph = true});
    loss.backward();
  });
}

TEST(ReluBetweenLayers, OwnKernelsWhereTheLibraryHasNone) {
  const Refusal refusal(Refusal::Of::epilogues);
  const auto taken =
      expect_same_gradients(random_chain(1016), [](const Chain& t) { sum(square(output(t, hidden(t)))).backward(); });
  EXPECT_EQ(std::count(taken.begin(), taken.end(), none), static_cast<int64_t>(taken.size()));
}

TEST(Products, WithoutAnyAlgorithmTheErrorNamesTheProblem) {
  const Refusal refusal(Refusal::Of::everything);
  const Tensor a = gpu(uniform({601, 3})), b = gpu(uniform({3, 2}));
  EXPECT_ERROR(
      matmul(a, b), BackendError,
      "gemm: cuBLASLt has no algorithm, expected one (float32, A 2x3 leading 2 step 0, B 3x601 leading 3 step 0, "
      "D 2x601 leading 2 step 0, batch 1, not accumulated, epilogue none)");
  EXPECT_ERROR(linear(a, b.t().contiguous(), gpu(uniform({2}))), BackendError,
               "linear: cuBLASLt has no algorithm, expected one (float32, A^T 3x2 leading 3 step 0, B 3x601 leading 3 "
               "step 0, D 2x601 leading 2 step 0, batch 1, not accumulated, epilogue none)");
}

// Parts of tensors begin anywhere.
TEST(Products, OperandsBeginAnywhere) {
  const Tensor a = uniform({5, 3}), b = uniform({4, 3});
  const Tensor expected = matmul(a.slice(0, 1, 5), b.slice(0, 2, 4).t());
  take_products();
  const Tensor actual = matmul(gpu(a).slice(0, 1, 5), gpu(b).slice(0, 2, 4).t());
  const std::vector<MatmulProblem> problems = take_products();
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].alignments.a, 8) << "six elements in";
  EXPECT_EQ(problems[0].alignments.b, 4) << "three elements in";
  const auto wanted = expected.to_vector<float>(), found = actual.to(cpu).to_vector<float>();
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-5);
}

TEST(Products, Tf32WhereItIsAllowed) {
  const Tensor a = gpu(uniform({2, 3})), b = gpu(uniform({3, 2}));
  const Tf32 before = tf32_allowed();
  allow_tf32({.product = true});
  take_products();
  matmul(a, b);
  allow_tf32(before);
  matmul(a, b);
  const std::vector<MatmulProblem> problems = take_products();
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].compute, MatmulCompute::tf32);
  EXPECT_EQ(problems[1].compute, MatmulCompute::float32);
}

// A layer's step copies nothing that lies well, and never waits.
TEST(Products, AStepLaunchesNoCopiesAndDoesNotWait) {
  const Tensor x = gpu(uniform({4, 6})).set_requires_grad(), w = gpu(uniform({8, 6})).set_requires_grad();
  const Tensor b = gpu(uniform({8})).set_requires_grad(), grad = gpu(uniform({4, 8}));
  const auto step = [&] { linear(x, w, b).backward(grad); };
  step();
  cuda::Context& context = cuda::Context::of(0);
  const auto before = context.counters();
  for (const Tensor& t : {x, w, b}) Tensor(t).zero_grad();
  step();
  const auto after = context.counters();
  EXPECT_EQ(after.waits, before.waits);
  EXPECT_EQ(after.launches - before.launches, 3) << "the three products";
}

// ---- the cache ------------------------------------------------------------------------------------------------------

TEST(PlanCache, ForgetsWhatWasNotUsedForLongest) {
  cuda::PlanCache<int, int, std::hash<int>> cache(2);
  int made = 0;
  const auto get = [&](int key) { return cache.get(key, [&] { return ++made, key * 10; }); };
  EXPECT_EQ(get(1), 10);
  EXPECT_EQ(get(2), 20);
  EXPECT_EQ(get(1), 10);
  EXPECT_EQ(made, 2);
  EXPECT_EQ(get(3), 30) << "2 goes";
  EXPECT_EQ(get(1), 10);
  EXPECT_EQ(made, 3);
  EXPECT_EQ(get(2), 20);
  EXPECT_EQ(made, 4);
  EXPECT_THROW(cache.get(4, []() -> int { throw BackendError("no"); }), BackendError);
  EXPECT_EQ(get(4), 40) << "a failure leaves nothing behind";
}

}  // namespace dnn::simt::test
