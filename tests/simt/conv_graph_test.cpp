// The translation from problems of convolutions to graphs.
#include "cuda/conv_graph.h"

#include <gmock/gmock.h>

namespace dnn::cuda::test {

using detail::Layout;
using kernel::ConvProblem;
using ::testing::ElementsAre;

const ConvProblem problem{.input = {8, 6, 9, 7},
                          .weight = {4, 3, 3, 2},
                          .output = {8, 4, 5, 4},
                          .stride = {2, 1},
                          .padding = {1, 0},
                          .dilation = {1, 3},
                          .groups = 2,
                          .dtype = DType::float32};

TEST(ConvGraph, HasTheSizesAndStridesOfTheLayout) {
  const ConvGraph last = conv_graph(ConvPass::forward, problem, Layout::channels_last, true);
  EXPECT_THAT(last.x.dims, ElementsAre(8, 6, 9, 7));
  EXPECT_THAT(last.x.strides, ElementsAre(378, 1, 42, 6));
  EXPECT_THAT(last.weight.dims, ElementsAre(4, 3, 3, 2));
  EXPECT_THAT(last.weight.strides, ElementsAre(18, 1, 6, 3));
  EXPECT_THAT(last.y.dims, ElementsAre(8, 4, 5, 4));
  EXPECT_THAT(last.y.strides, ElementsAre(80, 1, 16, 4));
  EXPECT_FALSE(last.add);
  EXPECT_FALSE(last.bias);
  const ConvGraph plain = conv_graph(ConvPass::backward_weight, problem, Layout::plain, true);
  EXPECT_THAT(plain.x.strides, ElementsAre(378, 63, 7, 1));
  EXPECT_THAT(plain.weight.strides, ElementsAre(18, 6, 2, 1));
  EXPECT_THAT(plain.y.strides, ElementsAre(80, 20, 4, 1));
  EXPECT_EQ(plain.pass, ConvPass::backward_weight);
}

TEST(ConvGraph, HasTheOptionsOfTheProblem) {
  const ConvGraph graph = conv_graph(ConvPass::backward_data, problem, Layout::channels_last, true);
  EXPECT_EQ(graph.stride, Size2(2, 1));
  EXPECT_EQ(graph.padding, Size2(1, 0));
  EXPECT_EQ(graph.dilation, Size2(1, 3));
  EXPECT_EQ(graph.groups(), 2);
  EXPECT_EQ(graph.dtype, DType::float32);
  EXPECT_EQ(graph.activation, Activation::none);
}

TEST(ConvGraph, SumsInFloat32ButForFloat64) {
  for (const DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
    ConvProblem typed = problem;
    typed.dtype = type;
    const ConvGraph graph = conv_graph(ConvPass::forward, typed, Layout::channels_last, false);
    EXPECT_EQ(graph.compute_type(), type == DType::float64 ? type : DType::float32);
    EXPECT_EQ(graph.tensor_cores, type != DType::float32) << "float32 without TF32";
  }
  EXPECT_TRUE(conv_graph(ConvPass::forward, problem, Layout::channels_last, true).tensor_cores);
}

TEST(ConvGraph, IsItselfAndNoOther) {
  const ConvGraph graph = conv_graph(ConvPass::forward, problem, Layout::channels_last, true);
  std::vector<ConvGraph> others(9, graph);
  others[0].pass = ConvPass::backward_data;
  others[1].dtype = DType::bfloat16;
  others[2].tensor_cores = false;
  others[3].x.alignment = 4;
  others[4].bias = conv_operand({1, 4, 1, 1}, Layout::channels_last);
  others[5].activation = Activation::relu;
  others[6].padding = {0, 1};
  others[7].dilation = {3, 1};
  others[8].add = graph.y;
  for (const ConvGraph& other : others) {
    EXPECT_FALSE(other == graph);
    EXPECT_NE(ConvGraphHash{}(other), ConvGraphHash{}(graph)) << text_of(other);
  }
  EXPECT_EQ(ConvGraphHash{}(conv_graph(ConvPass::forward, problem, Layout::channels_last, true)),
            ConvGraphHash{}(graph));
}

TEST(ConvGraph, KnowsWhichLayoutsAreOneOrder) {
  EXPECT_TRUE(same_order(Layout::plain, Layout::channels_last, {8, 1, 5, 5}));
  EXPECT_TRUE(same_order(Layout::plain, Layout::channels_last, {8, 7, 1, 1}));
  EXPECT_TRUE(same_order(Layout::plain, Layout::blocked8, {8, 16, 1, 1}));
  EXPECT_FALSE(same_order(Layout::plain, Layout::channels_last, {8, 2, 1, 2}));
  EXPECT_FALSE(same_order(Layout::plain, Layout::channels_last, {1, 2, 2, 1}));
}

TEST(ConvGraph, CountsAlignmentsUpTo16) {
  alignas(32) char bytes[32];
  EXPECT_EQ(alignment_of(bytes), 16);
  EXPECT_EQ(alignment_of(bytes + 16), 16);
  EXPECT_EQ(alignment_of(bytes + 8), 8);
  EXPECT_EQ(alignment_of(bytes + 12), 4);
  EXPECT_EQ(alignment_of(bytes + 2), 2);
  EXPECT_EQ(alignment_of(bytes + 5), 1);
}

TEST(ConvGraph, SaysAllThatItIs) {
  ConvGraph graph = conv_graph(ConvPass::forward, problem, Layout::channels_last, false);
  graph.bias = conv_operand({1, 4, 1, 1}, Layout::channels_last);
  graph.activation = Activation::relu;
  EXPECT_EQ(text_of(graph),
            "conv2d, forward, float32 without TF32, x [8, 6, 9, 7] strides [378, 1, 42, 6] aligned to 16, weight "
            "[4, 3, 3, 2] strides [18, 1, 6, 3] aligned to 16, y [8, 4, 5, 4] strides [80, 1, 16, 4] aligned to 16, "
            "bias [1, 4, 1, 1] strides [4, 1, 4, 4] aligned to 16, relu, stride 2x1, padding 1x0, dilation 1x3, "
            "groups 2");
}

}  // namespace dnn::cuda::test
