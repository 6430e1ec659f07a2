// What a profiler says of layers: paths, and whom fused neighbours count for.
#include "dnn/profile.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dnn/autograd.h"
#include "dnn/layers.h"
#include "dnn/models.h"
#include "dnn/ops.h"
#include "dnn/summary.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

std::vector<std::string> lines_of(const Profiler& profiler) {
  std::vector<std::string> lines;
  for (const ProfiledOperation& o : profiler.operations())
    lines.push_back(o.layer + ": " + o.name + (o.backward ? " backward" : ""));
  return lines;
}

// A layer with work of its own between its children.
class Gate : public Layer {
 public:
  Linear inner{3, 3};
  Sequential tail{Linear(3, 2)};
  DNN_MODULE(inner, tail)
  Tensor forward(Tensor x) override { return tail(x * sigmoid(inner(x))); }
};

TEST(ProfiledLayers, PathsForwardAndBackward) {
  Sequential net(Linear(4, 3), ReLU(), Gate());
  const Tensor x = rand({5, 4}), labels = from_values(std::vector<int64_t>{0, 1, 0, 1, 0}, {5});
  Profiler profiler;
  {
    const auto running = profiler.start();
    cross_entropy(net(x), labels).backward();
  }
  const std::vector<std::string> forward{"0: linear_fused",  // with its ReLU
                                         "2.inner: linear_fused",  "2: sigmoid", "2: mul", "2.tail.0: linear_fused",
                                         ": cross_entropy_reduced"};  // with its gradient
  const std::vector<std::string> backward{
      "2.tail.0: gemm backward", "2.tail.0: gemm backward", "2.tail.0: reduce_sum backward",
      "2: mul backward",         "2: mul backward",         "2: sigmoid backward",
      "2.inner: gemm backward",  "2.inner: gemm backward",  "2.inner: reduce_sum backward",
      "0: relu backward",        "0: gemm backward",        "0: reduce_sum backward",
  };
  std::vector<std::string> all = forward;
  all.insert(all.end(), backward.begin(), backward.end());
  EXPECT_EQ(lines_of(profiler), all);
}

TEST(ProfiledLayers, FoldedNeighboursCountForTheFirst) {
  Sequential net(Conv2d(3, 8, {.kernel = 3, .padding = 1}), BatchNorm2d(8), ReLU(), MaxPool2d({.kernel = 2}));
  net.eval();
  const Tensor x = rand({2, 3, 8, 8});
  const NoGrad no_grad;
  net(x);  // folds
  Profiler profiler;
  {
    const auto running = profiler.start();
    net(x);
  }
  const auto rows = profiler.by_layer();
  std::vector<std::string> names;
  for (const ProfileRow& row : rows) names.push_back(row.name);
  EXPECT_THAT(names, ElementsAre("0", "3"));
  EXPECT_EQ(rows[0].forward.flops, 2 * 2 * 8 * 8 * 8 * 3 * 3 * 3);
}

TEST(ProfiledLayers, ARangeComesBeforeThePath) {
  Linear lone(2, 2);
  Sequential net(Linear(2, 2));
  const NoGrad no_grad;
  const Tensor x = rand({1, 2});
  Profiler profiler;
  {
    const auto running = profiler.start();
    lone(x);
    const ProfileRange range("generator");
    lone(x);
    net(x);
    relu(x);
  }
  EXPECT_THAT(lines_of(profiler), ElementsAre("Linear: linear_fused", "generator: linear_fused",
                                              "generator.0: linear_fused", "generator: relu"));
}

// The profiler starts and ends while layers run.
class Starter : public Layer {
 public:
  Profiler* profiler = nullptr;
  Sequential inner{ReLU(), Tanh()};
  DNN_MODULE(inner)
  Tensor forward(Tensor x) override {
    const auto running = profiler->start();
    return inner(x);
  }
};

TEST(ProfiledLayers, MayBeginInTheMiddle) {
  Profiler profiler;
  Starter net;
  net.profiler = &profiler;
  net(rand({3}));
  ASSERT_EQ(profiler.operations().size(), 2u);
  EXPECT_EQ(profiler.operations()[1].name, "tanh");
  EXPECT_EQ(profiler.operations()[1].layer, "Tanh") << "its path is known to the outermost layer, which ran before";
}

TEST(ProfiledLayers, AFailingLayerIsLeft) {
  Sequential net(Linear(4, 3), Linear(4, 3));
  Profiler profiler;
  const auto running = profiler.start();
  const Tensor x = rand({2, 4});
  EXPECT_ERROR(net(x), ShapeError,
               "1 (Linear): linear: input has 3 features, weight expects 4 (input [2, 3], weight [3, 4])");
  EXPECT_EQ(detail::profiled_part(), "");
}

// The FLOPs of all convolutions and products are those of the summary, and a step costs three times as much, but for
// the images' gradient.
TEST(ProfiledLayers, AgreesWithTheSummary) {
  manual_seed(1);
  auto net = create_model("lenet5");
  const Tensor x = rand({3, 1, 28, 28});
  Profiler profiler;
  {
    const auto running = profiler.start();
    (*net)(x).sum().backward();
  }
  int64_t forward = 0, backward = 0, images = 0;
  for (const ProfileRow& row : profiler.by_layer()) {
    forward += row.forward.flops, backward += row.backward.flops;
    if (images == 0) images = row.forward.flops;
  }
  EXPECT_EQ(forward, 2 * 3 * summary(*net, {1, 28, 28}).macs);
  EXPECT_EQ(backward, 2 * forward - images);
}

TEST(ProfiledLayers, TheTraceIsJsonWithNestedTimes) {
  auto net = create_model("lenet5");
  const Tensor x = rand({2, 1, 28, 28});
  Profiler profiler;
  {
    const auto running = profiler.start();
    const ProfileRange range("a \"b\" \\ \x02 \xff");
    (*net)(x).sum().backward();
  }
  const std::string path = ::testing::TempDir() + "layers_trace.json";
  profiler.chrome_trace(path);
  std::ifstream file(path);
  const nlohmann::json trace = nlohmann::json::parse(file);  // throws what is wrong with it
  size_t operations = 0;
  std::vector<std::string> layers;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "M") continue;
    EXPECT_GE(event.at("dur").get<double>(), 0);
    if (event.at("cat") == "layer") layers.push_back(event.at("name"));
    operations += event.at("args").contains("flops");
  }
  EXPECT_EQ(operations, profiler.operations().size());
  const std::string outer = "a \"b\" \\ \x02 \xef\xbf\xbd";
  EXPECT_EQ(layers.front(), outer);
  EXPECT_THAT(layers, Contains(::testing::StartsWith(outer + ".")));
}

}  // namespace
}  // namespace dnn::test
