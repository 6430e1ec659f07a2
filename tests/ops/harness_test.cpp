// The harness itself: every kind of mistake that an operation can make is found.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/node.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "tests/harness/compare.h"
#include "tests/harness/memory.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

// The messages of the failures that one aspect of a row reports.
std::string failures_of(const Row& row, const std::string& aspect) {
  ::testing::TestPartResultArray found;
  {
    ::testing::ScopedFakeTestPartResultReporter catcher(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &found);
    run_aspect(row, aspect, Device::cpu());
  }
  std::string text;
  for (int i = 0; i < found.size(); ++i) text += std::string(found.GetTestPartResult(i).message()) + "\n";
  return text;
}

void expect_found(const Row& row, const std::string& aspect, const std::string& text) {
  const std::string messages = failures_of(row, aspect);
  EXPECT_NE(messages.find(text), std::string::npos) << aspect << " did not report \"" << text << "\" but: " << messages;
}

double twice(double x) { return 2 * x; }

// An operation that computes 2x, with a gradient of one's own.
Tensor doubled(const Tensor& x, const std::function<void(detail::Backward&)>& backward) {
  Tensor y;
  {
    NoGrad no_grad;
    y = x * 2;
  }
  detail::record("doubled", y, {x}, backward);
  return y;
}

const auto right_gradient = [](detail::Backward& b) { b.set(0, b.grad() * 2); };

TEST(Harness, ARightOperationPassesEverything) {
  const Row row = unary(
      "right", [](const Tensor& x) { return doubled(x, right_gradient); }, twice);
  for (const std::string& aspect : aspects_of(row, Device::cpu())) EXPECT_EQ(failures_of(row, aspect), "") << aspect;
}

TEST(Harness, FindsAWrongResult) {
  const Row row = unary(
      "wrong", [](const Tensor& x) { return x * 2; }, [](double x) { return 2.001 * x; });
  expect_found(row, "float64.forward", "elements are wrong");
}

TEST(Harness, FindsAWrongGradient) {
  const Row row = unary(
      "wrong", [](const Tensor& x) { return doubled(x, [](detail::Backward& b) { b.set(0, b.grad() * 2.001); }); },
      twice);
  expect_found(row, "float64.gradient", "analytic");
}

TEST(Harness, FindsAResultThatIsWrongInOneType) {
  const Row row = unary(
      "wrong", [](const Tensor& x) { return x.dtype() == DType::bfloat16 ? x * 2.1 : x * 2; }, twice);
  EXPECT_EQ(failures_of(row, "float32"), "");
  expect_found(row, "bfloat16", "in the result");
}

TEST(Harness, FindsAGradientThatIsWrongInOneType) {
  const Row row = unary(
      "wrong",
      [](const Tensor& x) {
        return doubled(
            x, [](detail::Backward& b) { b.set(0, b.grad() * (b.grad().dtype() == DType::float16 ? 2.1 : 2)); });
      },
      twice);
  expect_found(row, "float16", "in the gradient of input 0");
}

TEST(Harness, FindsAnElementThatNobodyWrote) {
  const auto lazy = [](const Tensor& x) {
    Tensor y = empty_like(x);
    if (x.rank() == 1 && x.numel() > 1)
      y.slice(0, 1, x.numel()).copy_(x.slice(0, 1, x.numel()) * 2);
    else
      y.copy_(x * 2);
    return y;
  };
  Row row = unary("lazy", lazy, twice).no_gradient();
  expect_found(row, "float64.forward", "1 of 131 elements are wrong, the worst at [0]: ");
}

TEST(Harness, FindsAWriteBeyondTheResult) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer stops at such a write";
#endif
  for (const int64_t where : {int64_t{-1}, int64_t{5}}) {
    Row row{.operation = "wild"};
    row.sample({.label = "one",
                .inputs = {Input({5})},
                .function =
                    [where](const Args& x) {
                      Tensor y = empty_like(x[0]);
                      auto* bytes = static_cast<char*>(detail::raw(y));
                      bytes[where < 0 ? -1 : y.numel() * static_cast<int64_t>(size_of(y.dtype()))] = 0;
                      return y.copy_(x[0]);
                    },
                .reference = [](const std::vector<Array>& x) { return x[0]; }});
    row.no_gradient();
    expect_found(row, "float64.forward", where < 0 ? "wrote 1 bytes before a block" : "wrote 0 bytes behind a block");
    EXPECT_EQ(memory::faults(), "");
  }
}

// A look at the bands of a block that is released copies from the GPU, and so meets what kernels found before.
TEST(Harness, LeavesABadLabelToTheNextWait) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_unavailable(DeviceType::cuda);
  memory::install();
  const Tensor logits = zeros({2, 3}, {.device = Device::cuda()});
  cross_entropy(logits, tensor({0, 5}, {2}, {.dtype = DType::int64}).to(Device::cuda()));
  EXPECT_THROW(synchronize(Device::cuda()), IndexError);
  EXPECT_NO_THROW(synchronize(Device::cuda()));
  EXPECT_EQ(memory::faults(), "");
}

TEST(Harness, FindsAChangedInput) {
  const auto greedy = [](const Tensor& x) {
    NoGrad no_grad;
    return x.detach().mul_(2).clone();
  };
  expect_found(unary("greedy", greedy, twice).no_gradient(), "float32", "was changed");
}

TEST(Harness, FindsMemoryLeftBehind) {
  static std::vector<Tensor> kept;
  const auto hoarder = [](const Tensor& x) { return kept.emplace_back(x * 2); };
  expect_found(unary("hoarder", hoarder, twice).no_gradient(), "float64.forward", "memory is left behind");
  kept.clear();
}

TEST(Harness, FindsAGradientThatOverwrites) {
  // A closure that writes without looking whether it shall add.
  const Row row = unary(
      "rude",
      [](const Tensor& x) { return doubled(x, [](detail::Backward& b) { b.into(0).tensor.copy_(b.grad() * 2); }); },
      twice);
  EXPECT_EQ(failures_of(row, "float64.gradient"), "");
  expect_found(row, "accumulation", "in the gradient of input 0");
}

TEST(Harness, FindsAnUnprotectedSavedTensor) {
  const auto careless = [](const Tensor& x) {
    Tensor y;
    {
      NoGrad no_grad;
      y = square(x);
    }
    detail::record("careless", y, {x}, [kept = x.detach()](detail::Backward& b) { b.set(0, b.grad() * kept * 2); });
    return y;
  };
  const Row row = unary("careless", careless, [](double x) { return x * x; });
  EXPECT_EQ(failures_of(row, "float64.gradient"), "");
  expect_found(row, "saved", "in the gradient of input 0");
}

TEST(Harness, FindsStridesThatAreIgnored) {
  const auto blind = [](const Tensor& x) {
    Tensor y = zeros(x.shape(), x.options());
    const auto size = static_cast<int64_t>(size_of(x.dtype()));
    const detail::TensorImpl& impl = detail::Access::impl(x);
    const int64_t there = impl.storage->bytes - impl.offset * size;  // a view may end before as many bytes
    std::memcpy(detail::raw(y), detail::raw(x), static_cast<size_t>(std::min(x.numel() * size, there)));
    return y;
  };
  const Row row = unary("blind", blind, [](double x) { return x; }).no_gradient();
  EXPECT_EQ(failures_of(row, "float64.forward"), "");
  expect_found(row, "strided", "elements are wrong");
  expect_found(row, "channels_last", "elements are wrong");
}

TEST(Harness, FindsALayoutThatIsLost) {
  const auto plain = [](const Tensor& x) {
    const Tensor y = x * 2;
    detail::make_plain(y);
    return y;
  };
  expect_found(unary("plain", plain, twice).transparent(), "blocked8", "the layout of the result");
}

TEST(Harness, FindsARecordWithoutNeed) {
  const auto eager = [](const Tensor& x) {
    EnableGrad enable;
    return x * 2;
  };
  expect_found(unary("eager", eager, twice), "float32", "requires_grad");
}

TEST(Harness, FindsTheWrongType) {
  const auto wide = [](const Tensor& x) { return x.to(DType::float64) * 2; };
  expect_found(unary("wide", wide, twice), "float32", "the type of the result");
}

TEST(Harness, FindsChanceInTheResult) {
  const auto fickle = [](const Tensor& x) {
    static int calls = 0;
    return x * (2 + 1e-7 * (++calls % 5));
  };
  expect_found(unary("fickle", fickle, twice).no_gradient().within(100, 100), "float32", "two runs differ");
}

// ---- the pieces
// --------------------------------------------------------------------------------------------------------

TEST(Compare, MeasuresByTheElementAndTheWhole) {
  const Array expected({3}, {1, 100, 0});
  EXPECT_TRUE(close(Array({3}, {1, 100, 0}), expected, 0));
  EXPECT_TRUE(close(Array({3}, {1.0001, 100, 0}), expected, 1e-5));
  EXPECT_FALSE(close(Array({3}, {1.001, 100, 0}), expected, 1e-5));
  EXPECT_FALSE(close(Array({3}, {NAN, 100, 0}), expected, 1));
  EXPECT_FALSE(close(Array({3}, {INFINITY, 100, 0}), expected, 1));
  EXPECT_FALSE(close(Array({1, 3}, {1, 100, 0}), expected, 1));
  EXPECT_TRUE(close(Array({2}, {NAN, INFINITY}), Array({2}, {NAN, INFINITY}), 0));
  EXPECT_FALSE(close(Array({1}, {-INFINITY}), Array({1}, {INFINITY}), 1));
  EXPECT_FALSE(close(Array({1}, {0.0}), Array({1}, {NAN}), 1));
  const auto worst = close(Array({2, 2}, {1, 2, 3, 5}), Array({2, 2}, {1, 2, 3, 4}), 1e-3);
  EXPECT_NE(std::string(worst.message()).find("1 of 4 elements are wrong, the worst at [1, 1]: 5, expected 4"),
            std::string::npos)
      << worst.message();
}

TEST(Tensors, EveryFormHoldsTheSameElements) {
  Array values(Shape{2, 3, 4});
  for (int64_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  for (const Form form : {Form::plain, Form::transposed, Form::gapped}) {
    const Tensor t = to_tensor(values, {.dtype = DType::float32}, form);
    EXPECT_EQ(t.is_contiguous(), form == Form::plain);
    EXPECT_TRUE(identical(to_array(t), values)) << name_of(form);
  }
  const Array expanded = to_array(to_tensor(values, {}, Form::expanded));
  EXPECT_EQ(expanded(1, 2, 3), values(0, 2, 3));
}

TEST(Tensors, EveryLayoutHoldsTheSameElements) {
  Array values(Shape{2, 16, 3, 2});
  for (int64_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  for (const auto layout : {detail::Layout::channels_last, detail::Layout::blocked8, detail::Layout::blocked16}) {
    const Tensor t = with_layout(to_tensor(values, {}), layout);
    EXPECT_EQ(detail::layout_of(t), layout);
    const auto* raw = static_cast<const float*>(detail::raw(t));
    // Element [1, 9, 2, 1] by the definition of the layout.
    const int64_t position = layout == detail::Layout::channels_last ? ((1 * 3 + 2) * 2 + 1) * 16 + 9
                             : layout == detail::Layout::blocked8    ? (((1 * 2 + 1) * 3 + 2) * 2 + 1) * 8 + 1
                                                                     : ((1 * 3 + 2) * 2 + 1) * 16 + 9;
    EXPECT_EQ(raw[position], values(1, 9, 2, 1));
    EXPECT_TRUE(identical(to_array(t), values));
    EXPECT_EQ(detail::layout_of(t), detail::Layout::plain) << "the host reads plain tensors";
  }
}

TEST(Arrays, BroadcastAndRound) {
  const Array sum = map(Array({2, 1}, {10, 20}), Array({3}, {1, 2, 3}), [](double a, double b) { return a + b; });
  EXPECT_TRUE(identical(sum, Array({2, 3}, {11, 12, 13, 21, 22, 23})));
  EXPECT_EQ(round_to(1.0 / 3, DType::bfloat16), 0.333984375);
  EXPECT_EQ(round_to(3.7, DType::int32), 3);
  EXPECT_EQ(epsilon(DType::float16), 0x1p-10);
}

}  // namespace
}  // namespace dnn::test
