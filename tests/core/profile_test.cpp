// The profiler: what it counts, exactly, and that it stays whole whatever passes through it.
#include "dnn/profile.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// "relu", "relu backward"
std::vector<std::string> names_of(const Profiler& profiler) {
  std::vector<std::string> names;
  for (const ProfiledOperation& o : profiler.operations()) names.push_back(o.name + (o.backward ? " backward" : ""));
  return names;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string temporary(const std::string& name) { return ::testing::TempDir() + name; }

TEST(Profiler, CountsEachOperationWithItsWork) {
  const Tensor x = rand({2, 3}), w = rand({4, 3}, {.requires_grad = true}), b = rand({4}, {.requires_grad = true});
  Profiler profiler;
  {
    const auto running = profiler.start();
    EXPECT_TRUE(profiler.running());
    linear(x, w, b, {.activation = Activation::relu}).sum().backward();
  }
  EXPECT_FALSE(profiler.running());
  EXPECT_THAT(names_of(profiler), ElementsAre("linear_fused", "reduce_sum", "fill backward", "copy backward",
                                              "relu backward", "gemm backward", "reduce_sum backward"));
  const auto& operations = profiler.operations();
  const ProfiledOperation& product = operations[0];
  EXPECT_EQ(product.flops, 2 * 2 * 3 * 4);
  EXPECT_EQ(product.bytes, 4 * (2 * 3 + 4 * 3 + 4 + 2 * 4));
  EXPECT_THAT(product.shapes, ElementsAre(Shape{2, 3}, Shape{4, 3}, Shape{4}, Shape{2, 4}));
  EXPECT_EQ(product.layer, "");
  EXPECT_EQ(product.device, Device::cpu());
  EXPECT_GT(product.seconds, 0);
  EXPECT_EQ(operations[1].flops, 0);
  EXPECT_EQ(operations[3].bytes, 4 + 4 * 2 * 4) << "the one element of the expanded gradient is read once";
  EXPECT_EQ(operations[5].flops, 2 * 2 * 3 * 4) << "of the weight alone, x needs no gradient";
  for (size_t i = 1; i < operations.size(); ++i)
    EXPECT_GE(operations[i].start, operations[i - 1].start + operations[i - 1].seconds);
  EXPECT_LE(operations.back().start + operations.back().seconds, profiler.seconds());
}

TEST(Profiler, KnowsTheWorkOfConvolutionsProductsAndCells) {
  const Tensor x = rand({2, 4, 5, 6}, {.requires_grad = true}), w = rand({8, 2, 3, 3}, {.requires_grad = true});
  const Tensor a = rand({3, 1, 2, 5}), b = rand({4, 5, 6});
  const Tensor sequence = rand({7, 2, 3}, {.requires_grad = true});
  const std::vector<RecurrentWeights> cell{{rand({16, 3}, {.requires_grad = true}), rand({16, 4})}};
  Profiler profiler;
  {
    const auto running = profiler.start();
    conv2d(x, w, {}, {.padding = 1, .groups = 2, .activation = Activation::relu}).sum().backward();
    matmul(a, b);
    lstm(sequence, cell).output.sum().backward();
  }
  std::vector<std::pair<std::string, int64_t>> work;
  for (const ProfiledOperation& o : profiler.operations())
    if (o.flops > 0) work.emplace_back(o.name, o.flops);
  const int64_t conv = 2 * (2 * 8 * 5 * 6) * (2 * 3 * 3), gates = 2 * 7 * 2 * (4 * 4);
  EXPECT_THAT(work, ElementsAre(std::pair("conv2d_fused", conv), std::pair("conv2d_backward_data", conv),
                                std::pair("conv2d_backward_weight", conv),
                                std::pair("gemm_batched", int64_t{2 * 12 * 2 * 6 * 5}),
                                std::pair("recurrent_forward", gates * (3 + 4)),
                                std::pair("recurrent_backward", gates * (4 + 3 + 3))))
      << "the second weight of the cell needs no gradient";
}

TEST(Profiler, CountsWhatAnUpdateReadsAndWrites) {
  const Tensor p = rand({10}), g = rand({10}), v = zeros({10});
  Profiler profiler;
  {
    const auto running = profiler.start();
    sgd_update_({p}, {g}, {v}, {.lr = 0.1, .momentum = 0.9});
    sgd_update_({p}, {g}, {}, {.lr = 0.1});
  }
  ASSERT_THAT(names_of(profiler), ElementsAre("sgd_update", "sgd_update"));
  EXPECT_EQ(profiler.operations()[0].bytes, 4 * 10 * 5);
  EXPECT_EQ(profiler.operations()[1].bytes, 4 * 10 * 3);
}

TEST(Profiler, CountsWhatIsPickedAndPlaced) {
  const Tensor table = rand({100, 4}, {.requires_grad = true});
  const Tensor index = from_values(std::vector<int64_t>{7, 7, 3}, {3});
  Profiler profiler;
  {
    const auto running = profiler.start();
    embedding(index, table).backward(ones({3, 4}));
  }
  ASSERT_THAT(names_of(profiler), ElementsAre("gather", "fill", "fill backward", "scatter backward"));
  EXPECT_EQ(profiler.operations()[0].bytes, 2 * 3 * 4 * 4 + 3 * 8);
  EXPECT_EQ(profiler.operations()[3].bytes, 2 * 3 * 4 * 4 + 3 * 8);
  profiler.clear();
  {
    const auto running = profiler.start();
    dynamic_slice(
        table, [] { return 7; }, 3);
  }
  EXPECT_EQ(profiler.operations()[0].bytes, 2 * 3 * 4 * 4);
}

TEST(Profiler, CountsNothingWhileItIsOff) {
  const Tensor x = rand({4}, {.requires_grad = true});
  Profiler profiler;
  relu(x).sum().backward();
  { const auto running = profiler.start(); }
  relu(x).sum().backward();
  const ProfileRange range("nobody looks");
  EXPECT_THAT(profiler.operations(), IsEmpty());
  EXPECT_THAT(profiler.by_layer(), IsEmpty());
}

TEST(Profiler, GoesOnWhenItIsStartedAgainAndForgetsWhenCleared) {
  const Tensor x = rand({4});
  Profiler profiler;
  for (int i = 0; i < 2; ++i) {
    const auto running = profiler.start();
    relu(x);
  }
  EXPECT_THAT(names_of(profiler), ElementsAre("relu", "relu"));
  EXPECT_GT(profiler.operations()[1].start, profiler.operations()[0].start);
  profiler.clear();
  EXPECT_THAT(profiler.operations(), IsEmpty());
  EXPECT_EQ(profiler.seconds(), 0);
}

TEST(Profiler, KnowsThePartInBothDirections) {
  const Tensor x = rand({4}, {.requires_grad = true});
  Profiler profiler;
  {
    const auto running = profiler.start();
    Tensor y;
    {
      const ProfileRange outer("outer");
      y = exp(x);
      const ProfileRange inner("inner");
      y = tanh(y);
    }
    y.sum().backward();
  }
  std::vector<std::string> parts;
  for (const ProfiledOperation& o : profiler.operations()) parts.push_back(o.name + " in " + o.layer);
  EXPECT_THAT(parts, ElementsAre("exp in outer", "tanh in outer.inner", "reduce_sum in ", "fill in ",
                                 "copy in outer.inner", "tanh in outer.inner", "exp in outer"));
  const auto rows = profiler.by_layer();
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[1].name, "outer.inner");
  EXPECT_EQ(rows[1].forward.calls, 1);
  EXPECT_EQ(rows[1].backward.calls, 2);
  EXPECT_EQ(rows[1].total().calls, 3);
  EXPECT_EQ(rows[1].forward.bytes, 2 * 4 * 4);
  EXPECT_DOUBLE_EQ(rows[1].forward.bytes_per_second(), 32 / rows[1].forward.seconds);
  EXPECT_EQ(rows[1].forward.flops_per_second(), 0);
  EXPECT_EQ(ProfileTotal().flops_per_second(), 0);
}

// The graph holds places of the profiler under which it was made, which say nothing to another one.
TEST(Profiler, TakesTheGraphOfAnotherForNobodys) {
  const Tensor x = rand({4}, {.requires_grad = true});
  Profiler first, second;
  Tensor y;
  {
    const auto running = first.start();
    const ProfileRange range("first");
    y = exp(x);
  }
  {
    const auto running = second.start();
    const ProfileRange range("second");
    y.backward(ones({4}));
  }
  EXPECT_THAT(names_of(second), ElementsAre("fill", "exp backward"));
  EXPECT_EQ(second.operations()[0].layer, "second");
  EXPECT_EQ(second.operations()[1].layer, "");
}

TEST(Profiler, StaysWholeWhenAnExceptionPasses) {
  const Tensor x = rand({2, 3});
  const Tensor labels = from_values(std::vector<int64_t>{0, 7}, {2});
  Profiler profiler;
  try {
    const auto running = profiler.start();
    const ProfileRange range("failing");
    relu(x);
    cross_entropy(x, labels);  // the kernel throws
  } catch (const IndexError&) {
  }
  EXPECT_FALSE(profiler.running());
  EXPECT_THAT(names_of(profiler), ElementsAre("relu"));
  {
    const auto running = profiler.start();
    EXPECT_ANY_THROW(cross_entropy(x, labels));
    const Tensor y = exp(rand({2}, {.requires_grad = true}));
    y.register_hook([](const Tensor&) { throw std::runtime_error("stop"); });
    EXPECT_THROW(y.backward(ones({2})), std::runtime_error);
    relu(x);
  }
  EXPECT_THAT(names_of(profiler), ElementsAre("relu", "random_uniform", "exp", "fill", "relu"));
  EXPECT_EQ(profiler.operations()[4].layer, "");
}

// The range of an earlier run may end in a later one.
TEST(Profiler, ARangeEndsInItsOwnRunAlone) {
  const Tensor x = rand({4});
  Profiler profiler;
  auto running = std::make_unique<ProfileRange>("before all runs");
  std::unique_ptr<ProfileRange> left;
  {
    const auto run = profiler.start();
    left = std::make_unique<ProfileRange>("left open");
  }
  {
    const auto run = profiler.start();
    const ProfileRange range("later");
    left.reset();
    running.reset();
    relu(x);
  }
  ASSERT_THAT(profiler.operations(), SizeIs(1));
  EXPECT_EQ(profiler.operations()[0].layer, "later");
}

TEST(Profiler, OutlivedByItsRun) {
  auto profiler = std::make_unique<Profiler>();
  const Tensor x = rand({4});
  {
    const auto running = profiler->start();
    profiler.reset();
    relu(x);
  }
  relu(x);
}

TEST(Profiler, SeesItsOwnThreadAlone) {
  const auto work = [](int64_t calls, Profiler& profiler) {
    const Tensor x = rand({8}, {.requires_grad = true});
    const auto running = profiler.start();
    const ProfileRange range(std::to_string(calls));
    for (int64_t i = 0; i < calls; ++i) relu(x).backward(x.detach());
  };
  Profiler first, second, idle;
  std::thread a([&] { work(100, first); }), b([&] { work(50, second); });
  {
    const auto running = idle.start();
    a.join(), b.join();
  }
  EXPECT_THAT(first.operations(), SizeIs(200));
  EXPECT_THAT(second.operations(), SizeIs(100));
  EXPECT_THAT(idle.operations(), IsEmpty());
  EXPECT_EQ(first.operations().back().layer, "100");
}

TEST(Profiler, Errors) {
  Profiler profiler, other;
  {
    const auto running = profiler.start();
    EXPECT_ERROR(profiler.start(), ArgumentError,
                 "Profiler: start while this profiler is running on this thread, expected none on this one");
    EXPECT_ERROR(other.start(), ArgumentError,
                 "Profiler: start while another profiler is running on this thread, expected none on this one");
    std::thread([&] {
      EXPECT_ERROR(profiler.start(), ArgumentError,
                   "Profiler: start while this profiler is running on another thread, expected none on this one");
    }).join();
    EXPECT_ERROR(profiler.clear(), ArgumentError, "Profiler: clear while it is running, expected after its end");
    EXPECT_ERROR(profiler.operations(), ArgumentError,
                 "Profiler: operations while it is running, expected after its end");
    EXPECT_ERROR(profiler.layer_table(), ArgumentError,
                 "Profiler: layer_table while it is running, expected after its end");
    EXPECT_ERROR(profiler.chrome_trace("trace.json"), ArgumentError,
                 "Profiler: chrome_trace while it is running, expected after its end");
  }
  EXPECT_ERROR(profiler.layer_table(0), ArgumentError, "Profiler: steps is 0, expected at least 1");
  EXPECT_ERROR(profiler.chrome_trace("/nowhere/trace.json"), IoError,
               "io: cannot create /nowhere/trace.json.tmp (no such file or directory)");
}

TEST(Profiler, Tables) {
  const Tensor x = rand({2, 3}), w = rand({4, 3}, {.requires_grad = true});
  Profiler profiler;
  {
    const auto running = profiler.start();
    for (int step = 0; step < 2; ++step) {
      const ProfileRange range("hidden");
      linear(x, w).sum().backward();
    }
  }
  const std::string layers = profiler.layer_table(2), operations = profiler.operation_table(2);
  EXPECT_THAT(layers, HasSubstr("\nhidden              2  "));
  EXPECT_THAT(layers, HasSubstr("\nall operations      2  "));
  EXPECT_THAT(layers, HasSubstr("operations took "));
  EXPECT_THAT(operations, HasSubstr("\nlinear_fused        1  "));
  for (const char* const column : {"forward", "backward", "calls", "ms", "share", "GFLOP/s", "GB/s"})
    EXPECT_THAT(layers, HasSubstr(column));
  EXPECT_THAT(profiler.layer_table(3), HasSubstr("  1.3  ")) << "four calls in three steps";
  {
    const NoGrad no_grad;
    profiler.clear();
    const auto running = profiler.start();
    relu(x);
  }
  EXPECT_THAT(profiler.layer_table(), Not(HasSubstr("backward"))) << "nothing ran there";
  EXPECT_THAT(Profiler().layer_table(), HasSubstr("operations took 0.000 ms of 0.000 ms"));
}

TEST(Profiler, TraceIsWrittenWholeOrNotAtAll) {
  Profiler profiler;
  {
    const auto running = profiler.start();
    const ProfileRange range("a \"quoted\\ name\"\n\x01 gr\xc3\xbc\xc3\x9f \xff\xc0\xaf \xed\xa0\x80");
    relu(rand({2}, {.requires_grad = true})).sum().backward();
  }
  const std::string path = temporary("trace.json");
  profiler.chrome_trace(path);
  const std::string before = contents_of(path);
  EXPECT_THAT(before, HasSubstr(R"("name":"a \"quoted\\ name\"\u000a\u0001 gr)"
                                "\xc3\xbc\xc3\x9f"
                                R"( \ufffd\ufffd\ufffd \ufffd\ufffd\ufffd","cat":"layer","ph":"X")"));
  EXPECT_THAT(before, HasSubstr(R"({"name":"relu backward","cat":"step","ph":"X","pid":0,"tid":0,"ts":)"));
  EXPECT_THAT(before, HasSubstr(R"({"name":"relu","cat":"backward","ph":"X","pid":0,"tid":0,"ts":)"));
  EXPECT_THAT(before, HasSubstr(R"("flops":0,"bytes":16,"shapes":["[2]","[2]"]}})"));
  EXPECT_THAT(before, ::testing::StartsWith("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"));
  EXPECT_THAT(before, Not(HasSubstr("cuda")));

  FailingFileSystem disk(2);
  EXPECT_THROW(profiler.chrome_trace(path), IoError);
  EXPECT_EQ(contents_of(path), before);
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

}  // namespace
}  // namespace dnn::test
