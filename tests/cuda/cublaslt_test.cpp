// What the library is told of a product. Needs cuBLASLt, which takes descriptors without a GPU and knows the size of
// each of their attributes; and, on a GPU, which epilogues it has algorithms for.
#include <gtest/gtest.h>

#include <iostream>

#include "core/kernels/runtime.h"
#include "cuda/library.h"
#include "cuda/matmul_choice.h"
#include "tests/harness/product_shapes.h"

namespace dnn::test {
namespace {

using cuda::batched_problem;
using cuda::gemm_problem;
using cuda::linear_problem;
using cuda::MatmulProblem;
using cuda::relu_gradient_problem;
using cuda::relu_problem;
using cuda::weight_gradient_problem;

class CublasLt : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = cuda::cublaslt.why_missing(); !why.empty()) GTEST_SKIP() << why;
  }
};

void expect_taken(MatmulProblem problem) {
  problem.alignments.bias = has_bias(problem.epilogue) ? 4 : 0;
  problem.alignments.aux = has_aux(problem.epilogue) ? 256 : 0;
  EXPECT_NO_THROW(check_matmul_descriptors(problem)) << problem.str();
}

TEST_F(CublasLt, TakesTheDescriptorsOfAllLayersOfTheNetworks) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
      SCOPED_TRACE(name);
      expect_taken(gemm_problem(type, m, k, n, false, false, true, false));
      expect_taken(gemm_problem(type, m, n, k, false, true, false, type == DType::float32));
      if (type == DType::float64) continue;
      expect_taken(*weight_gradient_problem(type, m, n, k, false, false));
      expect_taken(*relu_problem(type, m, n, k, false));
      expect_taken(*relu_gradient_problem(type, m, n, k, false));
      for (const Activation activation : {Activation::none, Activation::relu})
        for (const bool add : {false, true})
          expect_taken(*linear_problem(type, m, n, k, {true, add, activation}, true, true, false));
    }
}

TEST_F(CublasLt, TakesTheDescriptorsOfGeluAndOfBatches) {
  for (const bool bias : {false, true})
    expect_taken(*linear_problem(DType::bfloat16, 5, 16, 3, {bias, false, Activation::gelu_tanh}, true, true, false));
  expect_taken(batched_problem({12, 5, 7, 3, {15, 3, false}, {0, 3, true}}, DType::float16, false, false));
}

class CublasLtOnGpu : public CublasLt, public ::testing::WithParamInterface<DeviceType> {
 protected:
  void SetUp() override {
    detail::ensure_installed();
    if (device_count(GetParam()) == 0) GTEST_SKIP() << why_unavailable(GetParam());
  }
};

// Products and those with a bias must be there. What else is refused (an activation also when it loses NaN) is printed:
// own kernels take its place.
TEST_P(CublasLtOnGpu, HasAlgorithms) {
  for (const auto& [name, m, n, k] : product_shapes)
    for (const DType type : {DType::float32, DType::float16, DType::bfloat16}) {
      const auto has = [&](MatmulProblem problem) {
        problem.alignments.bias = has_bias(problem.epilogue) ? 256 : 0;
        problem.alignments.aux = has_aux(problem.epilogue) ? 256 : 0;
        return make_matmul_plan(Device::cuda(), problem) != nullptr;
      };
      const auto report = [&](const std::optional<MatmulProblem>& problem) {
        if (problem && !has(*problem)) std::cout << "refused: " << name << " (" << problem->str() << ")\n";
      };
      EXPECT_TRUE(has(gemm_problem(type, m, n, k, false, true, false, false))) << name;
      EXPECT_TRUE(has(*linear_problem(type, m, n, k, {.bias = true}, true, true, false))) << name;
      report(weight_gradient_problem(type, m, n, k, false, false));
      report(relu_problem(type, m, n, k, false));
      report(relu_gradient_problem(type, m, n, k, false));
      for (const Activation activation : {Activation::relu, Activation::gelu_tanh})
        report(linear_problem(type, m, n, k, {.bias = true, .activation = activation}, true, true, false));
    }
}

// Its name ends as those of all cases that need a GPU do.
INSTANTIATE_TEST_SUITE_P(Devices, CublasLtOnGpu, ::testing::Values(DeviceType::cuda),
                         [](const auto&) { return std::string("cuda"); });

}  // namespace
}  // namespace dnn::test
