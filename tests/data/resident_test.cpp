// Data sets that stay on a device: the batches of the loader, made there.
#include <gmock/gmock.h>

#include "dnn/data.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "dnn/random.h"
#include "tests/data/support.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

ImageDataset images(int64_t count, int64_t channels = 3) {
  manual_seed(2);
  ImageDataset result("bytes", randint(0, 256, {count, channels, 6, 5}, {.dtype = DType::uint8}),
                      randint(0, 4, {count}, {.dtype = DType::int64}), {"a", "b", "c", "d"});
  const auto n = static_cast<size_t>(channels);
  result.normalize({.mean = std::vector<float>(n, 0.4f), .deviation = std::vector<float>(n, 0.3f)});
  return result;
}

struct Loaded {
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<int64_t>> targets;
  friend bool operator==(const Loaded&, const Loaded&) = default;
};

Loaded load(DataLoader& loader) {
  Loaded all;
  for (const auto& [input, target] : loader) {
    all.inputs.push_back(input.to(DType::float32).to_vector<float>());
    all.targets.push_back(target.to_vector<int64_t>());
  }
  return all;
}

TEST(Resident, BatchesAreThoseOfAnOrdinaryLoader) {
  const TensorDataset tensors(rand({23, 2, 3}), randint(0, 9, {23}, {.dtype = DType::int64}));
  const auto compare = [](const SharedDataset& dataset) {
    for (const bool shuffle : {false, true}) {
      for (const bool drop_last : {false, true}) {
        LoaderOptions options{.batch_size = 5, .shuffle = shuffle, .seed = 4, .drop_last = drop_last};
        DataLoader ordinary(dataset, options);
        options.resident = true;
        DataLoader resident(dataset, options);
        EXPECT_EQ(resident.size(), ordinary.size());
        for (int epoch = 0; epoch < 2; ++epoch) EXPECT_EQ(load(resident), load(ordinary)) << "bit for bit";
        for (DataLoader* loader : {&resident, &ordinary}) loader->set_epoch(7, loader->size() - 1);
        EXPECT_EQ(load(resident), load(ordinary)) << "from the middle of an epoch";
      }
    }
  };
  compare(images(23));
  compare(images(23, 1));
  compare(tensors);
  compare(Subset(images(40), {3, 1, 39, 1, 0, 17, 22, 9, 30, 31, 11}));
  compare(Subset(Subset(tensors, {20, 4, 6, 8, 10, 12, 2, 1}), {7, 0, 3, 1, 5, 2}));
}

TEST(Resident, AugmentationDependsOnSeedEpochAndIndexAlone) {
  const LoaderOptions options{.batch_size = 30, .seed = 4, .resident = true, .augment = {.padding = 2, .flip = 0.5}};
  const auto epochs = [](const SharedDataset& dataset, const LoaderOptions& with, int64_t first = 0) {
    DataLoader loader(dataset, with);
    loader.set_epoch(first);
    return load(loader).inputs.at(0);
  };
  const ImageDataset all = images(30);
  const auto expected = epochs(all, options);
  EXPECT_EQ(epochs(all, options), expected);
  EXPECT_NE(epochs(all, options, 1), expected);
  EXPECT_NE(epochs(all, {.batch_size = 30, .seed = 5, .resident = true, .augment = options.augment}), expected);
  EXPECT_NE(epochs(all, {.batch_size = 30, .seed = 4, .resident = true}), expected);
  // Image 11, in another batch and alone.
  const auto image = static_cast<std::ptrdiff_t>(expected.size() / 30);
  const std::vector<float> of_eleven(expected.begin() + 11 * image, expected.begin() + 12 * image);
  EXPECT_EQ(epochs(Subset(all, {11}), options), of_eleven);
}

TEST(Resident, ALoaderTakesNoNumbersOfTheDefaultGenerator) {
  const ImageDataset all = images(6);
  const uint64_t before = default_generator().offset();
  DataLoader loader(all, {.batch_size = 3, .shuffle = true, .resident = true, .augment = {.padding = 2, .flip = 0.5}});
  load(loader);
  EXPECT_EQ(default_generator().offset(), before);
}

TEST(Resident, AugmentationTakesTheNormalizationOfTheDataset) {
  const ImageDataset all = images(4);
  DataLoader own(all, {.batch_size = 4, .resident = true, .augment = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}}});
  const Tensor expected = all.images().to(DType::float32) / 255;
  const auto actual = load(own).inputs.at(0), bytes = expected.to_vector<float>();
  EXPECT_THAT(actual, ::testing::Pointwise(::testing::FloatEq(), bytes));
  DataLoader half(all, {.batch_size = 4, .resident = true, .augment = {.dtype = DType::bfloat16}});
  EXPECT_EQ(half.begin()->input.dtype(), DType::bfloat16);
}

TEST(Resident, TransformsOfBatchesComeAfter) {
  const auto negate = [](Batch& batch, Generator&) { batch.input = -batch.input; };
  DataLoader plain(images(4), {.batch_size = 4, .resident = true});
  DataLoader negated(images(4), {.batch_size = 4, .batch_transforms = {negate}, .resident = true});
  EXPECT_EQ((-plain.begin()->input).to_vector<float>(), negated.begin()->input.to_vector<float>());
}

TEST(Resident, BatchesByNumberAreThoseOfTheLoader) {
  const LoaderOptions options{
      .batch_size = 5, .shuffle = true, .seed = 4, .resident = true, .augment = {.padding = 2, .flip = 0.5}};
  const auto compare = [](const SharedDataset& dataset, const LoaderOptions& with) {
    DataLoader loader(dataset, with);
    ResidentBatches batches(loader);
    EXPECT_EQ(batches.count(), loader.size());
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      batches.begin(epoch);
      const Loaded expected = load(loader);
      Loaded actual;
      for (int64_t number = 0; number < batches.count(); ++number) {
        const auto [input, target] = number % 2 == 0 ? batches.make(number) : batches.make([&] { return number; });
        EXPECT_EQ(batches.samples(number), target.size(0));
        actual.inputs.push_back(input.to_vector<float>());
        actual.targets.push_back(target.to_vector<int64_t>());
      }
      EXPECT_EQ(actual, expected);
    }
  };
  compare(images(23), options);
  compare(Subset(images(40), {3, 1, 39, 1, 0, 17, 22, 9, 30, 31, 11}), options);
  compare(TensorDataset(rand({23, 2}), randint(0, 9, {23}, {.dtype = DType::int64})),
          {.batch_size = 5, .drop_last = true, .resident = true});
}

TEST(Resident, BatchesByNumberThatCannotBeAreErrors) {
  const ImageDataset all = images(4);
  EXPECT_ERROR(ResidentBatches(DataLoader(all)), ArgumentError, "ResidentBatches: the loader is not resident (bytes)");
  const auto negate = [](Batch& batch, Generator&) { batch.input = -batch.input; };
  EXPECT_ERROR(ResidentBatches(DataLoader(all, {.batch_transforms = {negate}, .resident = true})), ArgumentError,
               "ResidentBatches: the loader has 1 batch transforms, expected none (bytes)");
  ResidentBatches batches(DataLoader(all, {.batch_size = 3, .resident = true}));
  EXPECT_ERROR(batches.begin(-1), ArgumentError, "ResidentBatches: epoch is -1, expected 0 or more");
  for (const int64_t number : {-1, 2}) {
    const std::string message = "ResidentBatches: there is no batch " + std::to_string(number) + " (2 batches)";
    EXPECT_ERROR(batches.make(number), ArgumentError, message);
    EXPECT_ERROR(batches.make([=] { return number; }), ArgumentError, message);
    EXPECT_ERROR(batches.samples(number), ArgumentError, message);
  }
  EXPECT_ERROR(batches.make(std::function<int64_t()>()), ArgumentError, "ResidentBatches: number is an empty function");
  EXPECT_EQ(batches.make(1).target.numel(), 1);
}

class Inverted : public ImageDataset {
 public:
  using ImageDataset::ImageDataset;
  Sample get(int64_t index, const Pass& pass) const override {
    Sample sample = ImageDataset::get(index, pass);
    sample.input = 1 - sample.input;
    return sample;
  }
};

TEST(Resident, WhatAClassOverridesIsNotPassedOver) {
  const Inverted own("mine", images(4).images(), images(4).labels(), {"a", "b", "c", "d"});
  EXPECT_ERROR(DataLoader(own, {.resident = true}), ArgumentError,
               "DataLoader: mine cannot be resident, expected a TensorDataset, an ImageDataset or a Subset of one "
               "without transforms (augment is done on the device)");
}

TEST(Resident, WhatCannotBeIsAnError) {
  const ImageDataset all = images(4);
  const TensorDataset tensors(rand({3, 2}), zeros({3}, {.dtype = DType::int64}));
  EXPECT_ERROR(DataLoader(TransformedDataset(all, {RandomHorizontalFlip()}), {.resident = true}), ArgumentError,
               "DataLoader: bytes cannot be resident, expected a TensorDataset, an ImageDataset or a Subset of one "
               "without transforms (augment is done on the device)");
  EXPECT_ERROR(DataLoader(tensors, {.resident = true, .augment = {.flip = 0.5}}), ArgumentError,
               "DataLoader: augment is for images, expected an ImageDataset (resident tensors)");
  EXPECT_ERROR(DataLoader(all, {.augment = {.flip = 0.5}}), ArgumentError,
               "DataLoader: augment is done where a data set is resident, expected resident (bytes)");
  EXPECT_ERROR(DataLoader(all, {.resident = true, .augment = {.flip = 2}}), ArgumentError,
               "augment_images: flip is 2, expected 0 to 1");
  EXPECT_ERROR(
      DataLoader(all, {.resident = true, .augment = {.size = 9}}), ShapeError,
      "augment_images: a window of 9x9 is larger than the padded image (images [4, 3, 6, 5]) with padding 0x0");
}

}  // namespace
}  // namespace dnn::test
