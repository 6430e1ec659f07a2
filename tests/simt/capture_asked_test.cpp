// What a captured step asks the host for in each repetition: where a slice begins, where a generator stands.
#include <gmock/gmock.h>

#include <limits>
#include <memory>

#include "dnn/error.h"
#include "dnn/ops/augment.h"
#include "dnn/ops/index.h"
#include "tests/harness/errors.h"
#include "tests/simt/captured_net.h"

namespace dnn::simt::test {
namespace {

TEST_F(CaptureTest, ADynamicSliceMoves) {
  const Tensor all = arange(0.0, 24.0, 1.0).to(DType::float32).to(cuda).reshape({8, 3});
  for (const DType type : {DType::float32, DType::float16, DType::int64, DType::uint8, DType::float64}) {
    const Tensor list = all.to(type);
    int64_t start = 0;
    auto step = capture(
        [&] {
          return dynamic_slice(
                     list, [&] { return start; }, 2)
                     .to(DType::float32) *
                 2;
        },
        {.device = cuda});
    for (start = 0; start < 7; ++start)
      EXPECT_EQ(step().to_vector<float>(), (all.slice(0, start, start + 2) * 2).to_vector<float>());
    EXPECT_EQ(step.graphs(), 1);
    EXPECT_EQ(step.repetitions(), 4);
  }
}

TEST_F(CaptureTest, ADynamicSliceOfImagesIsThatOfTheirValues) {
  const Tensor images = rand({4, 8, 3, 3}).to(cuda), kernel = rand({8, 8, 1, 1}).to(cuda);
  const Tensor side_by_side = conv2d(images, kernel);  // channels_last
  const std::vector<float> expected = side_by_side.clone().slice(0, 1, 3).to_vector<float>();
  EXPECT_EQ(dynamic_slice(
                conv2d(images, kernel), [] { return 1; }, 2)
                .to_vector<float>(),
            expected);
}

TEST_F(CaptureTest, ADynamicSliceBeyondTheEndIsTold) {
  int64_t start = 0;
  auto step = capture([&](const Tensor& list) {
    return dynamic_slice(
               list, [&] { return start; }, 1) *
           1;
  });
  for (int i = 0; i < 4; ++i) step(x);
  start = 2;
  EXPECT_ERROR(step(x).to_vector<float>(), IndexError, "dynamic_slice: start 2 at position 0, expected 0 <= start < 2");
  start = 1;
  EXPECT_EQ(step(x).to_vector<float>(), x.slice(0, 1, 2).to_vector<float>());
}

// The far ends of int64 must not wrap around.
TEST_F(CaptureTest, ADynamicSliceFarBeyondTheEndIsTold) {
  for (const int64_t start : {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()})
    EXPECT_THROW(dynamic_slice(
                     x, [=] { return start; }, 1)
                     .to_vector<float>(),
                 IndexError);
}

TEST_F(CaptureTest, AugmentationLooksAtItsGeneratorAnew) {
  const Tensor images = randint(0, 256, {5, 3, 6, 6}, {.dtype = DType::uint8}).to(cuda);
  const Tensor indices = from_values(std::vector<int64_t>{4, 0, 3}, {3}).to(cuda);
  const AugmentOptions options{.padding = 2, .flip = 0.5};
  const auto generator = std::make_shared<Generator>(7);
  auto step = capture([&] { return augment_images(images, indices, options, generator) * 1; }, {.device = cuda});
  for (uint64_t epoch = 0; epoch < 6; ++epoch) {
    generator->set_state(7, epoch / 2);
    Generator own;
    own.set_state(7, epoch / 2);
    EXPECT_EQ(step().to_vector<float>(), augment_images(images, indices, options, own).to_vector<float>()) << epoch;
    EXPECT_EQ(generator->offset(), epoch / 2) << "it stays as it is";
  }
  EXPECT_EQ(step.repetitions(), 3);
}

TEST_F(CaptureTest, AStepWithoutInputsNeedsAGpu) {
  auto nowhere = capture([] { return ones({2}) * 2; }),
       here = capture([] { return ones({2}) * 2; }, {.device = Device::cpu()});
  for (int i = 0; i < 4; ++i) nowhere(), here();
  EXPECT_EQ(nowhere.why_eager(), "it has no inputs, and no GPU");
  EXPECT_EQ(here.why_eager(), "it has no inputs, and no GPU");
}

}  // namespace
}  // namespace dnn::simt::test
