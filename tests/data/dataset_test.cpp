// Data sets: passes and their random choices, batches, tensors, images, transforms.
#include "dnn/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/storage.h"
#include "dnn/ops.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

TEST(Pass, PermutesByeSeedAndEpochAlone) {
  const auto order = Pass{1, 0}.permutation(1000);
  EXPECT_EQ(order, (Pass{1, 0}.permutation(1000)));
  EXPECT_NE(order, (Pass{1, 1}.permutation(1000)));
  EXPECT_NE(order, (Pass{2, 0}.permutation(1000)));
  auto sorted = order;
  std::ranges::sort(sorted);
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_NE(order, all);
  EXPECT_TRUE(Pass{}.permutation(0).empty());
}

TEST(Pass, PermutationsAreEvenlySpread) {
  std::array<int, 6> counts{};  // of the orders of three
  for (int64_t epoch = 0; epoch < 6000; ++epoch) {
    const auto order = Pass{5, epoch}.permutation(3);
    ++counts[static_cast<size_t>(2 * order[0] + (order[1] > order[2]))];
  }
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Pass, GeneratorsDifferBySeedEpochIndexAndNesting) {
  std::set<uint64_t> seeds;
  for (uint64_t seed : {0, 1}) {
    for (int64_t epoch : {0, 1}) {
      for (int64_t index : {0, 1}) {
        const Pass pass{seed, epoch};
        seeds.insert(pass.generator(index).seed());
        seeds.insert(pass.nested().generator(index).seed());
        EXPECT_EQ(pass.generator(index).seed(), (Pass{seed, epoch}.generator(index).seed()));
      }
    }
  }
  EXPECT_EQ(seeds.size(), 16);
}

TEST(Dataset, StacksSamples) {
  const Batch batch = Indices(10).batch(std::vector<int64_t>{7, 0, 7});
  EXPECT_EQ(batch.input.shape(), (Shape{3, 2}));
  EXPECT_EQ(batch.input.to_vector<float>(), (std::vector<float>{7, 7, 0, 0, 7, 7}));
  EXPECT_EQ(batch.target.shape(), (Shape{3}));
  EXPECT_EQ(batch.target.to_vector<int64_t>(), (std::vector<int64_t>{7, 0, 7}));
}

TEST(Dataset, RejectsAnIndexOutOfRange) {
  EXPECT_THAT([] { Indices(10).get(10, {}); },
              ThrowsMessage<IndexError>(HasSubstr("indices: there is no sample 10 (10 samples)")));
  EXPECT_THROW(Indices(10).get(-1, {}), IndexError);
}

TEST(Dataset, RejectsSamplesThatAreNotAlike) {
  const TransformedDataset shapes(Indices(4), {[](Sample& sample, Generator&) {
                                    sample.input = zeros({2 + static_cast<int64_t>(sample.target.item()) / 3});
                                  }});
  EXPECT_THAT(
      [&] {
        shapes.batch(std::vector<int64_t>{0, 3});
      },
      ThrowsMessage<ShapeError>(HasSubstr("indices: the input of sample 3 is [3], in a batch of [2, 2]")));
  const TransformedDataset types(Indices(4), {[](Sample& sample, Generator&) {
                                   if (sample.target.item() > 1) sample.target = zeros({});
                                 }});
  EXPECT_THAT(
      [&] {
        types.batch(std::vector<int64_t>{0, 3});
      },
      ThrowsMessage<DTypeError>(HasSubstr("indices: the target of sample 3 is float32, in a batch of int64")));
}

TEST(Dataset, RejectsABatchThatDoesNotFit) {
  const std::vector<int64_t> two{0, 1};
  const auto expect_error = [&](const Dataset& data, Batch batch, const std::string& text) {
    EXPECT_THAT([&] { data.gather(two, {}, batch); }, ThrowsMessage<ArgumentError>(HasSubstr(text)));
  };
  const Tensor labels = zeros({2}, {.dtype = DType::int64});
  expect_error(Indices(4), {zeros({3, 2}), labels},
               "indices: a batch to load into has float32 [3, 2] on cpu, expected contiguous float32 [2, 2] on cpu");
  const TensorDataset tensors(zeros({4, 2}), zeros({4}));
  expect_error(tensors, {zeros({2, 2}).t(), zeros({2})}, "tensors: a batch to load into has strided float32 [2, 2]");
  expect_error(tensors, {zeros({2, 2}), labels}, "has int64 [2] on cpu, expected contiguous float32 [2] on cpu");
  const ImageDataset images("d", zeros({4, 1, 2, 2}, {.dtype = DType::uint8}), zeros({4}, {.dtype = DType::int64}),
                            {"a"});
  expect_error(images, {zeros({1, 1, 2, 2}), labels}, "d: a batch to load into has float32 [1, 1, 2, 2]");
  expect_error(images, {zeros({2, 1, 2, 2}), Tensor()},
               "d: a batch to load into has no tensor, expected contiguous int64 [2]");
}

TEST(SharedDataset, TakesValuesAndPointers) {
  const SharedDataset value(Indices(3));
  EXPECT_EQ(value->size(), 3);
  const SharedDataset pointer(std::make_shared<Indices>(4));
  EXPECT_EQ((*pointer).size(), 4);
  EXPECT_THAT([] { SharedDataset(std::shared_ptr<const Dataset>()); },
              ThrowsMessage<ArgumentError>(HasSubstr("data set: a null pointer was given")));
}

TEST(TensorDataset, GathersRows) {
  const TensorDataset data(arange(0, 12).to(DType::float32).reshape({4, 3}), tensor({0.5, 1.5, 2.5, 3.5}));
  EXPECT_EQ(data.size(), 4);
  const Batch batch = data.batch(std::vector<int64_t>{3, 1});
  EXPECT_EQ(batch.input.to_vector<float>(), (std::vector<float>{9, 10, 11, 3, 4, 5}));
  EXPECT_EQ(batch.target.to_vector<float>(), (std::vector<float>{3.5, 1.5}));
  const Sample sample = data.get(2, {});
  EXPECT_EQ(sample.input.to_vector<float>(), (std::vector<float>{6, 7, 8}));
  EXPECT_EQ(sample.target.shape(), Shape{});
  EXPECT_THROW(data.batch(std::vector<int64_t>{4}), IndexError);
}

TEST(TensorDataset, TakesStridedTensorsOfAnyType) {
  const Tensor inputs = arange(0, 6, 1, {.dtype = DType::int32}).reshape({2, 3}).t();
  for (DType type : {DType::float64, DType::float16, DType::bfloat16, DType::int64, DType::uint8, DType::boolean}) {
    const TensorDataset data(inputs, zeros({3, 2}, {.dtype = type}));
    const Batch batch = data.batch(std::vector<int64_t>{1});
    EXPECT_EQ(batch.input.to_vector<int32_t>(), (std::vector<int32_t>{1, 4}));
    EXPECT_EQ(batch.target.dtype(), type);
  }
}

// Threads that read it at once must not be the ones that bring it into order.
TEST(TensorDataset, IsPlainBeforeItIsRead) {
  const Tensor features = full({3, 16, 2, 2}, 7);
  detail::set_layout(features, detail::Layout::blocked16);
  const TensorDataset data(features, arange(0, 3));
  EXPECT_EQ(detail::layout_of(data.inputs()), detail::Layout::plain);
}

TEST(TensorDataset, RejectsTensorsThatDoNotFit) {
  EXPECT_THAT(
      [] {
        TensorDataset(zeros({3, 2}), zeros({4}));
      },
      ThrowsMessage<ShapeError>(
          HasSubstr("inputs and targets need the same first dimension (inputs [3, 2], targets [4])")));
  EXPECT_THROW(TensorDataset(zeros({}), zeros({})), ShapeError);
}

ImageDataset two_images() {
  return {"two",
          from_values(std::vector<uint8_t>{0, 51, 102, 255, 5, 6, 7, 8}, {2, 2, 1, 2}),
          from_values(std::vector<int64_t>{1, 0}, {2}),
          {"cat", "dog"}};
}

TEST(ImageDataset, GivesFloatsBetweenZeroAndOne) {
  const ImageDataset data = two_images();
  const Batch batch = data.batch(std::vector<int64_t>{0});
  EXPECT_EQ(batch.input.shape(), (Shape{1, 2, 1, 2}));
  EXPECT_EQ(batch.input.to_vector<float>(), (std::vector<float>{0, 51 / 255.0f, 102 / 255.0f, 1}));
  EXPECT_EQ(batch.target.to_vector<int64_t>(), (std::vector<int64_t>{1}));
  const Sample sample = data.get(1);
  EXPECT_EQ(sample.input.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(sample.input.to_vector<float>(), (std::vector<float>{5 / 255.0f, 6 / 255.0f, 7 / 255.0f, 8 / 255.0f}));
  EXPECT_EQ(sample.target.item(), 0);
  EXPECT_EQ(data.class_names(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_THROW(data.get(2), IndexError);
  EXPECT_THROW(data.batch(std::vector<int64_t>{0, -1}), IndexError);
}

TEST(ImageDataset, Normalizes) {
  ImageDataset data = two_images();
  const ImageDataset before = data;
  data.normalize({.mean = {0.5f, 0.25f}, .deviation = {0.5f, 2.0f}});
  EXPECT_EQ(data.get(0).input.to_vector<float>(),
            (std::vector<float>{-1, (51 / 255.0f - 0.5f) / 0.5f, (102 / 255.0f - 0.25f) / 2, 0.375f}));
  EXPECT_EQ(before.get(0).input.to_vector<float>().back(), 1.0f);
  EXPECT_TRUE(before.images().is_same(data.images()));
  EXPECT_THAT([&] { data.normalize({.mean = {0}, .deviation = {1}}); },
              ThrowsMessage<ArgumentError>(HasSubstr("(two: 2 channels, 1 means, deviations [1])")));
  EXPECT_THAT(
      [&] {
        data.normalize({.mean = {0, 0}, .deviation = {1, 0}});
      },
      ThrowsMessage<ArgumentError>(HasSubstr("deviations [1, 0])")));
  EXPECT_THROW(data.normalize({.mean = {0, 0}, .deviation = {1, NAN}}), ArgumentError);
}

TEST(ImageDataset, RejectsTensorsThatDoNotFit) {
  const Tensor images = zeros({2, 1, 3, 3}, {.dtype = DType::uint8}), labels = zeros({2}, {.dtype = DType::int64});
  EXPECT_THAT(
      [&] {
        ImageDataset("d", images.reshape({2, 3, 3}), labels, {"a"});
      },
      ThrowsMessage<ShapeError>(
          HasSubstr("d: expected images [n, c, h, w] and labels [n] (images [2, 3, 3], labels [2])")));
  EXPECT_THROW(ImageDataset("d", images, labels.slice(0, 0, 1), {"a"}), ShapeError);
  EXPECT_THAT([&] { ImageDataset("d", images.to(DType::float32), labels, {"a"}); },
              ThrowsMessage<DTypeError>(HasSubstr("d: images are float32, labels int64, expected uint8 and int64")));
  EXPECT_THAT([&] { ImageDataset("d", images, full({2}, 1, {.dtype = DType::int64}), {"a"}); },
              ThrowsMessage<IndexError>(HasSubstr("d: label 1 of image 0 is out of range (1 classes)")));
  EXPECT_THROW(ImageDataset("d", images, full({2}, -1, {.dtype = DType::int64}), {"a"}), IndexError);
}

Transform add_noise() {
  return [](Sample& sample, Generator& generator) {
    sample.input = full({1}, sample.input.to_vector<float>()[0] + generator.uniform());
  };
}

TEST(TransformedDataset, DependsOnSeedEpochAndIndexAlone) {
  const TransformedDataset data(Indices(10), {add_noise()});
  const auto value = [&](int64_t index, const Pass& pass) { return data.get(index, pass).input.item(); };
  EXPECT_EQ(value(3, {1, 2}), value(3, {1, 2}));
  EXPECT_NE(value(3, {1, 2}), value(3, {1, 3}));
  EXPECT_NE(value(3, {1, 2}), value(3, {2, 2}));
  EXPECT_NE(value(3, {1, 2}) - 3, value(4, {1, 2}) - 4);
  EXPECT_EQ(data.size(), 10);
  EXPECT_EQ(data.name(), "indices");
}

TEST(TransformedDataset, ChainsAndNests) {
  const TransformedDataset chained(Indices(10), {add_noise(), add_noise()});
  const TransformedDataset nested(TransformedDataset(Indices(10), {add_noise()}), {add_noise()});
  const Pass pass{3, 1};
  Generator generator = pass.generator(5);
  const double first = generator.uniform(), second = generator.uniform();
  EXPECT_FLOAT_EQ(static_cast<float>(chained.get(5, pass).input.item()), static_cast<float>(5 + first + second));
  const double inner = pass.nested().generator(5).uniform();
  EXPECT_NE(inner, first);
  EXPECT_FLOAT_EQ(static_cast<float>(nested.get(5, pass).input.item()), static_cast<float>(5 + inner + first));
}

TEST(TransformedDataset, RejectsAnEmptyFunction) {
  EXPECT_THAT([] { TransformedDataset(Indices(1), {Transform()}); },
              ThrowsMessage<ArgumentError>(HasSubstr("a transform is an empty function")));
}

}  // namespace
}  // namespace dnn::test
