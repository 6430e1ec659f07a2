// Which batch normalisations cuDNN has plans for on an H100, asked of the real library without a GPU: those of
// ResNet-50, forward and backward.
//
// cuDNN compiles the code of these plans itself, and offers none where it cannot open the driver's library. Where there
// is no driver, the toolkit's stub of it stands in: plans are offered and compiled, and fail only when they are loaded.
// Every other test shall find no driver; hence the process of its own.
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "cuda/library.h"
#include "cuda/norm_plan.h"
#include "dnn/error.h"
#include "tests/cuda/resnet50_norms.h"
#include "tests/harness/errors.h"

namespace dnn::cuda::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What is around a normalisation.
struct Form {
  bool add, relu;
};
constexpr Form forms[] = {{false, false}, {false, true}, {true, true}};

NormGraph forward(DType type, const std::array<int64_t, 4>& dims, const Form& form) {
  return {.pass = NormPass::forward,
          .dtype = type,
          .dims = dims,
          .add = form.add,
          .relu = form.relu,
          .running = true,
          .eps = 1e-5,
          .momentum = 0.1};
}

NormGraph backward(DType type, const std::array<int64_t, 4>& dims, const Form& form, bool fork) {
  return {.pass = NormPass::backward,
          .dtype = type,
          .dims = dims,
          .sign = !form.relu ? NormSign::none
                  : form.add ? NormSign::output
                             : NormSign::input,
          .fork = fork};
}

class NormPlans : public ::testing::Test {
 protected:
  std::string properties_;

  void SetUp() override {
    if (const std::string why = cudnn.why_missing(); !why.empty()) GTEST_SKIP() << "no cuDNN: " << why;
    // The stub has the name of the driver's library, by which cuDNN finds it from now on.
    if (dlopen("libcuda.so.1", RTLD_NOW) == nullptr && dlopen(DNN_CUDA_STUB, RTLD_NOW) == nullptr)
      GTEST_SKIP() << "no driver, and no stub of it: " << dlerror();
    std::ifstream stream(DNN_H100);
    properties_.assign(std::istreambuf_iterator<char>(stream), {});
    ASSERT_FALSE(properties_.empty());
  }
  std::unique_ptr<cuda::NormPlans> plans(const NormGraph& graph) const { return norm_plans(graph, properties_); }
};

TEST_F(NormPlans, OfResNet50) {
  std::vector<std::string> missing;
  for (const DType type : {DType::bfloat16, DType::float16}) {
    const auto graphs = resnet50_norms(type, 256);
    EXPECT_EQ(graphs.size(), 32u);
    for (const NormGraph& graph : graphs) {
      if (plans(graph)->count() == 0) missing.push_back(text_of(graph));
    }
  }
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(NormPlans, OfAwkwardImages) {
  for (const auto& dims :
       {std::array<int64_t, 4>{2, 8, 1, 1}, {1, 8, 1, 2}, {3, 24, 5, 7}, {7, 4096, 1, 3}, {256, 2056, 3, 3}}) {
    for (const Form& form : forms) {
      EXPECT_GT(plans(forward(DType::bfloat16, dims, form))->count(), 0);
      EXPECT_GT(plans(backward(DType::bfloat16, dims, form, form.add))->count(), 0);
    }
    EXPECT_GT(plans(backward(DType::bfloat16, dims, forms[2], false))->count(), 0) << "without the gradient of add";
  }
}

TEST_F(NormPlans, TheFirstCompiles) {
  const std::array<int64_t, 4> dims{256, 256, 56, 56};
  for (const Form& form : forms) {
    for (const NormGraph& graph :
         {forward(DType::bfloat16, dims, form), backward(DType::bfloat16, dims, form, form.add)}) {
      const auto offered = plans(graph);
      ASSERT_GT(offered->count(), 0);
      EXPECT_THAT(offered->name(0), ::testing::StartsWith("eng"));
      if (offered->build(0))
        EXPECT_GE(offered->workspace(0), 0);
      else
        EXPECT_THAT(offered->refusal(), HasSubstr("cuLibraryLoadData")) << text_of(graph);
    }
  }
}

TEST_F(NormPlans, AnAdditionWithoutAReluIsRefusedWithAReason) {
  const auto offered = plans(forward(DType::bfloat16, {256, 256, 56, 56}, {true, false}));
  EXPECT_EQ(offered->count(), 0);
  EXPECT_THAT(offered->refusal(), HasSubstr("No valid engine configs"));
}

TEST_F(NormPlans, OfNoSuchTypeOrGpuAreErrors) {
  NormGraph graph = forward(DType::bfloat16, {2, 8, 3, 3}, forms[0]);
  try {
    norm_plans(graph, "{}");
    FAIL() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith("cuda: properties->deserialize("));
    EXPECT_THAT(error.what(), HasSubstr("cudnn_graph.h"));
  }
  graph.dtype = DType::float32;
  EXPECT_ERROR(norm_plans(graph, properties_), DTypeError, "batch_norm: no plan for elements of type float32");
}

}  // namespace
}  // namespace dnn::cuda::test
