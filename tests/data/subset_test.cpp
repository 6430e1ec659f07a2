// Parts, concatenations and statistics of data sets.
#include "dnn/data/subset.h"

#include <algorithm>
#include <cmath>

#include "tests/data/transforms_support.h"

namespace dnn::test {
namespace {

std::vector<int64_t> targets_of(const Dataset& dataset) {
  std::vector<int64_t> targets;
  for (int64_t i = 0; i < dataset.size(); ++i)
    targets.push_back(static_cast<int64_t>(dataset.get(i, {}).target.item()));
  return targets;
}

TransformedDataset noisy(const SharedDataset& dataset) {
  return {dataset, {[](Sample& sample, Generator& generator) { sample.input = full({1}, generator.uniform()); }}};
}

TEST(Subset, IsItsSamples) {
  const Subset subset(Indices(10), {7, 2, 2, 9});
  EXPECT_EQ(subset.size(), 4);
  EXPECT_EQ(subset.name(), "indices");
  EXPECT_EQ(targets_of(subset), (std::vector<int64_t>{7, 2, 2, 9}));
  EXPECT_EQ(subset.batch(std::vector<int64_t>{3, 0}).target.to_vector<int64_t>(), (std::vector<int64_t>{9, 7}));
  EXPECT_EQ(subset.indices(), (std::vector<int64_t>{7, 2, 2, 9}));
  EXPECT_EQ(targets_of(Subset(subset, {1, 0})), (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(Subset(Indices(3), {}).size(), 0);
}

TEST(Subset, GathersAsTheWholeDoes) {
  const TensorDataset tensors(arange(0, 12).to(DType::float32).reshape({6, 2}), arange(0, 6));
  DataLoader loader(Subset(tensors, {5, 1, 3}), {.batch_size = 2});
  std::vector<float> inputs;
  for (const Batch& batch : loader)
    for (float value : values(batch.input)) inputs.push_back(value);
  EXPECT_EQ(inputs, (std::vector<float>{10, 11, 2, 3, 6, 7}));
}

TEST(Subset, LeavesRandomChoicesAsTheyAreInTheWhole) {
  const TransformedDataset whole = noisy(Indices(10));
  EXPECT_EQ(Subset(whole, {8}).get(0, {1, 2}).input.item(), whole.get(8, {1, 2}).input.item());
}

TEST(Subset, RefusesIndicesThatAreNotThere) {
  EXPECT_THAT(
      [] {
        Subset(Indices(3), {0, 3});
      },
      ThrowsMessage<IndexError>("Subset: there is no sample 3 in indices (3 samples)"));
  EXPECT_THROW(Subset(Indices(3), {-1}), IndexError);
  const Subset subset(Indices(3), {1, 2});
  EXPECT_THROW(subset.get(2, {}), IndexError);
  EXPECT_THROW(subset.batch(std::vector<int64_t>{0, 2}), IndexError);
}

TEST(RandomSplit, SharesOutEverySampleOnce) {
  const auto parts = random_split(Indices(100), {0.9, 0.1}, 3);
  ASSERT_EQ(parts.size(), 2);
  EXPECT_EQ(parts[0].size(), 90);
  EXPECT_EQ(parts[1].size(), 10);
  std::vector<int64_t> all = parts[0].indices();
  all.insert(all.end(), parts[1].indices().begin(), parts[1].indices().end());
  EXPECT_NE(all, targets_of(Indices(100)));
  std::ranges::sort(all);
  EXPECT_EQ(all, targets_of(Indices(100)));
  EXPECT_EQ(random_split(Indices(100), {0.9, 0.1}, 3)[1].indices(), parts[1].indices());
  EXPECT_NE(random_split(Indices(100), {0.9, 0.1}, 4)[1].indices(), parts[1].indices());
  EXPECT_EQ(random_split(Indices(100), {90, 10}, 3)[1].indices(), parts[1].indices());
}

TEST(RandomSplit, GivesWhatIsLeftToTheFirstParts) {
  const auto sizes = [](int64_t samples, const std::vector<Scalar>& shares) {
    std::vector<int64_t> result;
    for (const Subset& part : random_split(Indices(samples), shares)) result.push_back(part.size());
    return result;
  };
  EXPECT_EQ(sizes(11, {0.3, 0.3, 0.4}), (std::vector<int64_t>{4, 3, 4}));
  EXPECT_EQ(sizes(2, {1.0 / 3, 1.0 / 3, 1.0 / 3}), (std::vector<int64_t>{1, 1, 0}));
  EXPECT_EQ(sizes(5, {0, 5}), (std::vector<int64_t>{0, 5}));
  EXPECT_EQ(sizes(5, {1.0}), (std::vector<int64_t>{5}));
}

TEST(RandomSplit, RefusesPartsThatDoNotAddUp) {
  const auto expect_error = [](const std::vector<Scalar>& parts, const std::string& text) {
    EXPECT_THAT([&] { random_split(Indices(10), parts); },
                ThrowsMessage<ArgumentError>("random_split: expected shares that add up to 1, or counts that add up to "
                                             "the samples (indices: 10 samples, parts [" +
                                             text + "])"));
  };
  expect_error({0.5, 0.4}, "0.5, 0.4");
  expect_error({5, 4}, "5, 4");
  expect_error({11, -1}, "11, -1");
  expect_error({1.5, -0.5}, "1.5, -0.5");
  expect_error({0.5, 5}, "0.5, 5");
  expect_error({}, "");
}

TEST(ConcatDataset, IsOneAfterTheOther) {
  const ConcatDataset data({Indices(2), Indices(0), Indices(3)});
  EXPECT_EQ(data.size(), 5);
  EXPECT_EQ(data.name(), "indices + indices + indices");
  EXPECT_EQ(targets_of(data), (std::vector<int64_t>{0, 1, 0, 1, 2}));
  EXPECT_EQ(data.batch(std::vector<int64_t>{4, 1}).target.to_vector<int64_t>(), (std::vector<int64_t>{2, 1}));
  EXPECT_THROW(data.get(5, {}), IndexError);
  EXPECT_THROW(data.get(-1, {}), IndexError);
}

TEST(ConcatDataset, ChoosesByChanceInEachPartByItself) {
  const ConcatDataset data({noisy(Indices(1)), noisy(Indices(1))});
  EXPECT_NE(data.get(0, {}).input.item(), data.get(1, {}).input.item());
  EXPECT_EQ(data.get(1, {4, 5}).input.item(), data.get(1, {4, 5}).input.item());
}

TEST(ConcatDataset, RefusesWhatDoesNotBelongTogether) {
  EXPECT_THAT([] { ConcatDataset({}); },
              ThrowsMessage<ArgumentError>("ConcatDataset: there are no data sets, expected at least one"));
  const auto images = [](const std::string& name, std::vector<std::string> classes) {
    return ImageDataset(name, zeros({1, 1, 2, 2}, {.dtype = DType::uint8}), zeros({1}, {.dtype = DType::int64}),
                        std::move(classes));
  };
  EXPECT_THAT(
      [&] {
        ConcatDataset({images("pets", {"cat"}), images("farm", {"cow", "pig"})});
      },
      ThrowsMessage<ArgumentError>("ConcatDataset: pets and farm have different classes (1 and 2)"));
}

TEST(ChannelStatistics, AreThoseOfAllPixels) {
  const TensorDataset data(counted({2, 2, 1, 3}), zeros({2}));  // channels 1 2 3 7 8 9 and 4 5 6 10 11 12
  const Normalization statistics = channel_statistics(data);
  EXPECT_EQ(statistics.mean, (std::vector<float>{5, 8}));
  const auto deviation = static_cast<float>(std::sqrt((16 + 9 + 4 + 4 + 9 + 16) / 6.0));
  EXPECT_EQ(statistics.deviation, (std::vector<float>{deviation, deviation}));
}

TEST(ChannelStatistics, CountPixelsNotImages) {
  const TransformedDataset data(Indices(200), {[](Sample& sample, Generator&) {
                                  const auto index = static_cast<int64_t>(sample.target.item());
                                  sample.input = full({1, 1 + index % 2 * 2, 1}, 1e4 + static_cast<double>(index % 2));
                                }});
  const Normalization statistics = channel_statistics(data);
  EXPECT_EQ(statistics.mean, (std::vector<float>{1e4f + 0.75f}));
  EXPECT_NEAR(statistics.deviation[0], std::sqrt(0.1875), 1e-7);
}

TEST(ChannelStatistics, MakeADataSetNormal) {
  std::vector<uint8_t> bytes(50 * 3 * 6 * 6);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i % 253);
  ImageDataset images("bytes", from_values(bytes, {50, 3, 6, 6}), zeros({50}, {.dtype = DType::int64}), {"a"});
  images.normalize(channel_statistics(images));
  const Normalization after = channel_statistics(images);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(after.mean[c], 0, 1e-6);
    EXPECT_NEAR(after.deviation[c], 1, 1e-6);
  }
}

TEST(ChannelStatistics, RefuseWhatIsNoImage) {
  EXPECT_THAT([] { channel_statistics(Indices(0)); },
              ThrowsMessage<ArgumentError>("channel_statistics: the data set is empty (indices)"));
  EXPECT_THAT([] { channel_statistics(Indices(3)); },
              ThrowsMessage<ShapeError>("channel_statistics: expected images [c, h, w] (indices: sample 0 is [2])"));
  EXPECT_THAT(
      [] {
        channel_statistics(TensorDataset(zeros({1, 1, 2, 2}, {.dtype = DType::uint8}), zeros({1})));
      },
      ThrowsMessage<DTypeError>("channel_statistics: the images are uint8, expected a floating type (tensors: "
                                "sample 0 is [1, 2, 2])"));
  const TransformedDataset data(Indices(200), {[](Sample& sample, Generator&) {
                                  sample.input = zeros({sample.target.item() < 150 ? 1 : 2, 1, 1});
                                }});
  EXPECT_THAT([&] { channel_statistics(data); },
              ThrowsMessage<ShapeError>(HasSubstr("channel_statistics: expected 1 channels as in other images")));
}

}  // namespace
}  // namespace dnn::test
