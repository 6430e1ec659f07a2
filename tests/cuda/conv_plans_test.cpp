// Which convolutions cuDNN has plans for on an H100, asked of the real library without a GPU: those of the networks,
// awkward ones, and the fused forms.
//
// With DNN_LIST_PLANS=1 each test prints, for each graph, how many plans there are and the names of the first.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "core/kernels/conv.h"
#include "core/kernels/runtime.h"
#include "cuda/conv_plan.h"
#include "cuda/library.h"
#include "dnn/autograd.h"
#include "dnn/models.h"
#include "dnn/ops/factory.h"
#include "tests/cuda/resnet50_convs.h"
#include "tests/harness/errors.h"

namespace dnn::cuda::test {
namespace {

using detail::Layout;
using kernel::ConvProblem;
using ::testing::IsEmpty;

// What a convolution may be asked for in.
struct Kind {
  const char* name;
  DType type;
  bool tf32;
};
constexpr Kind kinds[] = {{"TF32", DType::float32, true},
                          {"float32", DType::float32, false},
                          {"bfloat16", DType::bfloat16, true},
                          {"float16", DType::float16, true},
                          {"float64", DType::float64, true}};
constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight};

struct Conv {
  std::string name;
  ConvProblem problem;
};

Conv conv(const std::string& name, const Shape& input, const Shape& weight, Size2 stride = 1, Size2 padding = 0,
          Size2 dilation = 1, int64_t groups = 1) {
  const auto size = [](int64_t in, int64_t pad, int64_t spread, int64_t taps, int64_t step) {
    return (in + 2 * pad - spread * (taps - 1) - 1) / step + 1;
  };
  return {name,
          {input,
           weight,
           {input[0], weight[0], size(input[2], padding.h, dilation.h, weight[2], stride.h),
            size(input[3], padding.w, dilation.w, weight[3], stride.w)},
           stride,
           padding,
           dilation,
           groups}};
}

// ---- the convolutions -----------------------------------------------------------------------------------------------

std::vector<ConvProblem>& recorded() {
  static std::vector<ConvProblem> problems;
  return problems;
}

// The convolutions that a network runs on its input, each once, for a batch of 128.
std::vector<Conv> convs_of(const std::string& name, Layer& net, const Shape& input) {
  static const auto original = kernel::conv2d_layout[Device::cpu()].function();
  kernel::conv2d_layout.set(DeviceType::cpu, [](const ConvProblem& problem, Layout layout, Layout* output) {
    recorded().push_back(problem);
    original(problem, layout, output);
  });
  recorded().clear();
  {
    NoGrad no_grad;
    net.forward(zeros(input));
  }
  kernel::conv2d_layout.set(DeviceType::cpu, original);
  std::vector<Conv> convs;
  for (ConvProblem problem : recorded()) {
    problem.input = {128, problem.input[1], problem.input[2], problem.input[3]};
    problem.output = {128, problem.output[1], problem.output[2], problem.output[3]};
    const auto same = [&](const Conv& other) { return other.problem == problem; };
    if (std::none_of(convs.begin(), convs.end(), same)) convs.push_back({name, problem});
  }
  return convs;
}

std::vector<Conv> resnet50() {
  std::vector<Conv> convs;
  for (const ResNet50Conv& c : resnet50_convs)
    convs.push_back(conv("ResNet-50", {64, c.in, c.size, c.size}, {c.out, c.in, c.taps, c.taps}, c.stride, c.taps / 2));
  return convs;
}

std::vector<Conv> alexnet() {
  return {conv("AlexNet", {128, 3, 224, 224}, {64, 3, 11, 11}, 4, 2),
          conv("AlexNet", {128, 64, 27, 27}, {192, 64, 5, 5}, 1, 2),
          conv("AlexNet", {128, 192, 13, 13}, {384, 192, 3, 3}, 1, 1),
          conv("AlexNet", {128, 384, 13, 13}, {256, 384, 3, 3}, 1, 1),
          conv("AlexNet", {128, 256, 13, 13}, {256, 256, 3, 3}, 1, 1)};
}

std::vector<Conv> awkward() {
  return {conv("5 to 7 channels", {8, 5, 9, 9}, {7, 5, 3, 3}, 1, 1),
          conv("one of everything", {1, 1, 1, 1}, {1, 1, 1, 1}),
          conv("groups", {8, 64, 14, 14}, {64, 32, 3, 3}, 1, 1, 1, 2),
          conv("groups of 3 and 2 channels", {8, 6, 9, 9}, {4, 3, 3, 3}, 2, 1, 1, 2),
          conv("depthwise", {8, 32, 14, 14}, {32, 1, 3, 3}, 1, 1, 1, 32),
          conv("depthwise of 5", {8, 5, 14, 14}, {5, 1, 3, 3}, 2, 1, 1, 5),
          conv("two filters a channel", {8, 4, 14, 14}, {8, 1, 3, 3}, 1, 1, 1, 4),
          conv("dilation", {2, 3, 9, 9}, {8, 3, 3, 3}, 1, 2, 2),
          conv("dilation, stride and groups", {2, 8, 13, 13}, {12, 2, 3, 3}, 2, 1, 2, 4),
          conv("stride 3", {2, 16, 15, 15}, {8, 16, 3, 3}, 3, 1),
          conv("stride {3, 2}", {1, 2, 8, 7}, {3, 2, 3, 3}, {3, 2}, {0, 1}),
          conv("1x1", {2, 3, 4, 5}, {5, 3, 1, 1}),
          conv("1x1, stride 2", {2, 16, 9, 9}, {8, 16, 1, 1}, 2),
          conv("1xN", {2, 3, 1, 90}, {4, 3, 1, 3}, {1, 2}, {0, 1}),
          conv("Nx1", {2, 3, 90, 1}, {4, 3, 5, 1}, {2, 1}, {2, 0}),
          conv("uneven everything", {1, 2, 7, 6}, {3, 2, 3, 2}, {2, 1}, {2, 0}, {1, 2}),
          conv("padding beyond the filter", {1, 1, 2, 2}, {1, 1, 2, 2}, 1, 3),
          conv("one filter over the whole image", {2, 3, 4, 4}, {5, 3, 4, 4}),
          conv("even filter", {2, 16, 6, 6}, {16, 16, 4, 4}, 2, 1),
          conv("one image", {1, 64, 56, 56}, {64, 64, 3, 3}, 1, 1)};
}

// ---- asking ---------------------------------------------------------------------------------------------------------

class ConvPlans : public ::testing::Test {
 protected:
  std::string properties_;

  void SetUp() override {
    if (const std::string why = cudnn.why_missing(); !why.empty()) GTEST_SKIP() << "no cuDNN: " << why;
    detail::ensure_installed();
    std::ifstream stream(DNN_H100);
    properties_.assign(std::istreambuf_iterator<char>(stream), {});
    ASSERT_FALSE(properties_.empty());
  }

  // Whether a plan can be built that works within a GiB, as the slots demand.
  bool has_plan(const ConvGraph& graph) {
    const auto plans = conv_plans(graph, properties_);
    if (std::getenv("DNN_LIST_PLANS") != nullptr) list(graph, *plans);
    for (int64_t i = 0; i < plans->count(); ++i) {
      if (plans->build(i) && plans->workspace(i) <= int64_t{1} << 30) return true;
    }
    return false;
  }

  static ConvGraph graph_of(const Conv& conv, const Kind& kind, ConvPass pass) {
    ConvProblem problem = conv.problem;
    problem.dtype = kind.type;
    return conv_graph(pass, problem, conv_layout(kind.type), kind.tf32);
  }

  // The graphs without a plan.
  std::vector<std::string> without_plan(const std::vector<Conv>& convs) {
    std::vector<std::string> missing;
    for (const Conv& conv : convs) {
      for (const Kind& kind : kinds) {
        for (const ConvPass pass : passes) {
          const ConvGraph graph = graph_of(conv, kind, pass);
          expect_translated(graph, conv.problem, kind);
          if (!has_plan(graph)) missing.push_back(conv.name + ": " + text_of(graph));
        }
      }
    }
    return missing;
  }

 private:
  // Sizes and options are the problem's; in memory the channels come last, or first for float64.
  static void expect_translated(const ConvGraph& graph, const ConvProblem& problem, const Kind& kind) {
    const auto expect = [&](const ConvOperand& operand, const Shape& shape) {
      int64_t step = 1;
      const bool plain = kind.type == DType::float64;
      for (const int d : plain ? std::array{3, 2, 1, 0} : std::array{1, 3, 2, 0}) {
        const auto i = static_cast<size_t>(d);
        EXPECT_EQ(operand.dims[i], shape[d]) << text_of(graph);
        EXPECT_EQ(operand.strides[i], step) << text_of(graph);
        step *= shape[d];
      }
    };
    expect(graph.x, problem.input), expect(graph.weight, problem.weight), expect(graph.y, problem.output);
    EXPECT_EQ(graph.stride, problem.stride);
    EXPECT_EQ(graph.padding, problem.padding);
    EXPECT_EQ(graph.dilation, problem.dilation);
    EXPECT_EQ(graph.groups(), problem.groups);
    EXPECT_EQ(graph.dtype, kind.type);
    EXPECT_EQ(graph.tensor_cores, kind.type != DType::float32 || kind.tf32);
  }

  static void list(const ConvGraph& graph, cuda::ConvPlans& plans) {
    int64_t built = 0;
    std::string names;
    for (int64_t i = 0; i < plans.count(); ++i) {
      if (!plans.build(i)) continue;
      if (++built <= 3) names += " " + plans.name(i) + " (" + std::to_string(plans.workspace(i) >> 10) + " KiB)";
    }
    std::cout << text_of(graph) << ": " << built << " of " << plans.count() << " plans:" << names << "\n";
    if (built == 0) std::cout << "  " << plans.refusal() << "\n";
  }
};

TEST_F(ConvPlans, OfLeNet) {
  Sequential net = lenet5();
  const auto convs = convs_of("LeNet-5", net, {2, 1, 28, 28});
  EXPECT_EQ(convs.size(), 2u);
  EXPECT_THAT(without_plan(convs), IsEmpty());
}

TEST_F(ConvPlans, OfResNetsForCifar) {
  for (const Shortcut shortcut : {Shortcut::identity, Shortcut::projection}) {
    ResNetCifar net = resnet_cifar(20, {.shortcut = shortcut}), small = resnet_cifar(8, {.shortcut = shortcut});
    const auto convs = convs_of("ResNet-20", net, {2, 3, 32, 32});
    EXPECT_EQ(convs.size(), shortcut == Shortcut::identity ? 6u : 8u);
    EXPECT_EQ(convs_of("ResNet-8", small, {2, 3, 32, 32}).size(), convs.size()) << "has no others";
    EXPECT_THAT(without_plan(convs), IsEmpty());
  }
}

TEST_F(ConvPlans, OfResNet50) { EXPECT_THAT(without_plan(resnet50()), IsEmpty()); }

TEST_F(ConvPlans, OfAlexNet) { EXPECT_THAT(without_plan(alexnet()), IsEmpty()); }

TEST_F(ConvPlans, OfAwkwardConvolutions) { EXPECT_THAT(without_plan(awkward()), IsEmpty()); }

// Where there is none, the slots compose: the convolution alone always has one.
TEST_F(ConvPlans, OfFusedForms) {
  struct Form {
    const char* name;
    bool add;
    Activation activation;
  };
  const Form forms[] = {{"bias", false, Activation::none},
                        {"bias, relu", false, Activation::relu},
                        {"add, bias", true, Activation::none},
                        {"add, bias, relu", true, Activation::relu}};
  std::vector<Conv> convs = awkward();
  for (const auto& more : {resnet50(), alexnet()}) convs.insert(convs.end(), more.begin(), more.end());
  std::set<std::string> missing;
  for (const Conv& conv : convs) {
    for (const Kind& kind : kinds) {
      for (const Form& form : forms) {
        if (kind.type == DType::float64 || (kind.type == DType::float32 && form.activation != Activation::none))
          continue;  // never asked for
        ConvGraph graph = graph_of(conv, kind, ConvPass::forward);
        graph.bias = conv_operand({1, conv.problem.output[1], 1, 1}, Layout::channels_last);
        if (form.add) graph.add = graph.y;
        graph.activation = form.activation;
        if (!has_plan(graph)) missing.insert(conv.name + ", " + kind.name + ": " + form.name);
      }
    }
  }
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(ConvPlans, AGraphThatCudnnDoesNotKnowIsRefusedWithAReason) {
  ConvGraph graph = graph_of(resnet50()[1], kinds[2], ConvPass::forward);
  graph.add = graph.y;  // without a bias cuDNN knows no such pattern
  const auto plans = conv_plans(graph, properties_);
  int64_t built = 0;
  for (int64_t i = 0; i < plans->count(); ++i) built += plans->build(i);
  EXPECT_EQ(built, 0);
  EXPECT_THAT(plans->refusal(), ::testing::HasSubstr("No valid engine configs"));
}

TEST_F(ConvPlans, OfNoSuchTypeOrGpuAreErrors) {
  ConvGraph graph = graph_of(alexnet()[0], kinds[0], ConvPass::forward);
  try {
    conv_plans(graph, "{}");
    FAIL() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith("cuda: properties->deserialize("));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("cudnn_graph.h"));
  }
  graph.dtype = DType::int32;
  EXPECT_ERROR(conv_plans(graph, properties_), DTypeError, "conv2d: no kernel for elements of type int32");
}

TEST_F(ConvPlans, WithoutTf32FewerPlansAreLeft) {
  const Conv conv = resnet50()[2];
  const auto built = [&](const Kind& kind) {
    const auto plans = conv_plans(graph_of(conv, kind, ConvPass::forward), properties_);
    int64_t count = 0;
    for (int64_t i = 0; i < plans->count(); ++i) count += plans->build(i);
    return count;
  };
  EXPECT_GT(built(kinds[0]), built(kinds[1]));
  EXPECT_GT(built(kinds[1]), 0);
}

TEST_F(ConvPlans, PlansForGradientsOfWeightsThatAddInAnyOrderAreLeftOutUnlessAllowed) {
  size_t left_out = 0;
  for (const size_t number : {0, 2}) {
    for (const Kind& kind : kinds) {
      SCOPED_TRACE(std::string(kind.name) + ", convolution " + std::to_string(number));
      ConvGraph graph = graph_of(resnet50()[number], kind, ConvPass::backward_weight);
      const auto built = [&](bool deterministic) {
        graph.deterministic = deterministic;
        const auto plans = conv_plans(graph, properties_);
        std::set<std::string> names;
        for (int64_t i = 0; i < plans->count(); ++i)
          if (plans->build(i)) names.insert(plans->name(i));
        return names;
      };
      const auto some = built(true), all = built(false);
      EXPECT_FALSE(some.empty());
      EXPECT_TRUE(std::includes(all.begin(), all.end(), some.begin(), some.end()));
      left_out += all.size() - some.size();
    }
  }
  EXPECT_GT(left_out, 0u);
}

}  // namespace
}  // namespace dnn::cuda::test
