// The loader: the same batches in the same order with any number of threads, errors, ending half-way, memory.
#include "dnn/data/loader.h"

#include <atomic>
#include <chrono>
#include <ctime>
#include <set>
#include <thread>

#include "dnn/ops.h"
#include "dnn/random.h"
#include "tests/data/support.h"

namespace dnn::test {
namespace {

using namespace std::chrono_literals;

// Batches of indices, each by a function of the index, in a time that differs from one to the next.
class Probe : public Indices {
 public:
  using Indices::Indices;
  Sample get(int64_t index, const Pass& pass) const override {
    const int now = ++*running;
    for (int most = *most_running; now > most && !most_running->compare_exchange_weak(most, now);) {
    }
    ++*calls;
    if (delay > 0us) std::this_thread::sleep_for(delay * static_cast<int>(1 + index % 3));
    --*running;
    if (index == failing) throw IoError("probe: sample " + std::to_string(index) + " is unreadable");
    return Indices::get(index, pass);
  }

  std::chrono::microseconds delay = 0us;
  int64_t failing = -1;
  std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> running = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> most_running = std::make_shared<std::atomic<int>>(0);
};

std::vector<std::vector<int64_t>> targets(DataLoader& loader) {
  std::vector<std::vector<int64_t>> all;
  for (auto& [inputs, labels] : loader) all.push_back(labels.to_vector<int64_t>());
  return all;
}

using Targets = std::vector<std::vector<int64_t>>;

TEST(Loader, GivesBatchesInOrder) {
  DataLoader loader(Indices(7), {.batch_size = 3});
  EXPECT_EQ(loader.size(), 3);
  EXPECT_EQ(targets(loader), (Targets{{0, 1, 2}, {3, 4, 5}, {6}}));
  DataLoader full_ones(Indices(7), {.batch_size = 3, .drop_last = true});
  EXPECT_EQ(full_ones.size(), 2);
  EXPECT_EQ(targets(full_ones), (Targets{{0, 1, 2}, {3, 4, 5}}));
  DataLoader one(Indices(7), {.batch_size = INT64_MAX});
  EXPECT_EQ(targets(one), (Targets{{0, 1, 2, 3, 4, 5, 6}}));
}

TEST(Loader, InputsAndTargetsBelongTogether) {
  DataLoader loader(Indices(50), {.batch_size = 8, .shuffle = true});
  for (auto& [inputs, labels] : loader) {
    ASSERT_EQ(inputs.shape(), (Shape{labels.size(0), 2}));
    const auto input = inputs.to_vector<float>();
    const auto label = labels.to_vector<int64_t>();
    for (size_t i = 0; i < label.size(); ++i) EXPECT_EQ(input[2 * i], static_cast<float>(label[i]));
  }
}

TEST(Loader, IsTheSameWithAnyNumberOfThreads) {
  Probe probe(61);
  probe.delay = 50us;
  const TransformedDataset data(probe, {[](Sample& sample, Generator& generator) {
                                  sample.input = full({1}, sample.input.to_vector<float>()[0] + generator.uniform());
                                }});
  const auto run = [&](int threads, int prefetch) {
    std::vector<float> inputs;
    DataLoader loader(data, {.batch_size = 4, .shuffle = true, .seed = 9, .threads = threads, .prefetch = prefetch});
    for (int epoch = 0; epoch < 2; ++epoch) {
      for (Batch& batch : loader) {
        for (float value : batch.input.to_vector<float>()) inputs.push_back(value);
      }
    }
    return inputs;
  };
  const auto expected = run(0, 2);
  EXPECT_EQ(expected.size(), 122);
  EXPECT_EQ(run(1, 1), expected);
  EXPECT_EQ(run(1, 3), expected);
  EXPECT_EQ(run(2, 2), expected);
  EXPECT_EQ(run(4, 1), expected);
  EXPECT_EQ(run(7, 5), expected);
}

TEST(Loader, RandomOperationsAreTheSameWithAnyNumberOfThreads) {
  const TransformedDataset data(
      Probe(23), {[](Sample& sample, Generator&) { sample.input = sample.input + rand(sample.input.shape()); }});
  const auto noise = [](Batch& batch, Generator&) { batch.input = batch.input + rand(batch.input.shape()); };
  const auto run = [&](int threads) {
    std::vector<float> inputs;
    DataLoader loader(data, {.batch_size = 4, .seed = 9, .threads = threads, .batch_transforms = {noise}});
    for (int epoch = 0; epoch < 2; ++epoch)
      for (Batch& batch : loader)
        for (float value : batch.input.to_vector<float>()) inputs.push_back(value);
    return inputs;
  };
  manual_seed(4);
  const auto expected = run(0);
  EXPECT_EQ(default_generator().offset(), 0u);
  EXPECT_FALSE(std::equal(expected.begin(), expected.begin() + 23, expected.begin() + 23));  // the epochs
  EXPECT_EQ(std::set<float>(expected.begin(), expected.end()).size(), expected.size());
  EXPECT_EQ(run(1), expected);
  EXPECT_EQ(run(3), expected);
  Pass pass{9, 0};
  EXPECT_EQ(data.get(2, pass).input.to_vector<float>(), data.get(2, pass).input.to_vector<float>());
}

TEST(Loader, EpochsDifferAndComeBack) {
  DataLoader loader(Indices(40), {.batch_size = 8, .shuffle = true, .seed = 4});
  EXPECT_EQ(loader.epoch(), 0);
  const Targets first = targets(loader), second = targets(loader);
  EXPECT_EQ(loader.epoch(), 2);
  EXPECT_NE(first, second);
  loader.set_epoch(0);
  EXPECT_EQ(targets(loader), first);
  EXPECT_EQ(targets(loader), second);
  DataLoader other_seed(Indices(40), {.batch_size = 8, .shuffle = true, .seed = 5});
  EXPECT_NE(targets(other_seed), first);
}

TEST(Loader, GoesOnInTheMiddleOfAnEpoch) {
  for (int threads : {0, 2}) {
    DataLoader loader(Indices(41), {.batch_size = 8, .shuffle = true, .threads = threads});
    loader.set_epoch(3);
    const Targets whole = targets(loader), next = targets(loader);
    for (int64_t first = 0; first <= 6; ++first) {
      loader.set_epoch(3, first);
      EXPECT_EQ(targets(loader), Targets(whole.begin() + first, whole.end()));
      EXPECT_EQ(targets(loader), next);
    }
  }
}

TEST(Loader, ThrowsWhereTheBatchIsDue) {
  Probe probe(30);
  probe.failing = 13;
  for (int threads : {0, 1, 3}) {
    DataLoader loader(probe, {.batch_size = 4, .threads = threads});
    int64_t batches = 0;
    const auto run = [&] {
      for (Batch& batch : loader) batches += batch.input.defined();
    };
    for (int round = 0; round < 2; ++round) {
      batches = 0;
      EXPECT_THAT(run, ThrowsMessage<IoError>(HasSubstr("probe: sample 13 is unreadable")));
      EXPECT_EQ(batches, 3);
    }
  }
}

TEST(Loader, HasNothingAfterAnError) {
  Probe probe(30);
  probe.failing = 5;
  DataLoader loader(probe, {.batch_size = 4, .threads = 2});
  auto iterator = loader.begin();
  EXPECT_THROW(++iterator, IoError);
  EXPECT_TRUE(iterator == loader.end());
  ++iterator;
  EXPECT_TRUE(iterator == loader.end());
  probe.failing = 0;
  DataLoader at_once(probe, {.batch_size = 4, .threads = 2});
  EXPECT_THROW(at_once.begin(), IoError);
}

// Memory runs out where the consumer allocates, not in a worker.
TEST(Loader, EndsWhenAllocationFails) {
  class Failing : public Indices {
   public:
    using Indices::Indices;
    Batch allocate(int64_t count) const override {
      if (++*calls == failing) throw OutOfMemory("failing: no memory");
      return Indices::allocate(count);
    }
    int failing = 0;
    std::shared_ptr<int> calls = std::make_shared<int>(0);
  };
  for (int threads : {0, 1, 2}) {
    for (int failing : {1, 2, 3, 6, 8}) {
      Failing data(32);
      data.failing = failing;
      DataLoader loader(data, {.batch_size = 4, .threads = threads});
      EXPECT_THROW(targets(loader), OutOfMemory);
    }
    Failing data(32);
    data.failing = 6;
    DataLoader loader(data, {.batch_size = 4, .threads = threads});
    auto iterator = loader.begin();
    EXPECT_THROW(while (iterator != loader.end())++ iterator, OutOfMemory);
    EXPECT_TRUE(iterator == loader.end());
    ++iterator;
  }
}

TEST(Loader, CanBeLeftHalfWay) {
  Probe probe(1000);
  probe.delay = 100us;
  for (int threads : {0, 1, 3}) {
    DataLoader loader(probe, {.batch_size = 2, .threads = threads});
    for (int stop_after = 0; stop_after < 4; ++stop_after) {
      int seen = 0;
      for ([[maybe_unused]] Batch& batch : loader) {
        if (seen++ == stop_after) break;
      }
      EXPECT_EQ(*probe.running, 0);
    }
  }
  EXPECT_LT(*probe.calls, 200);
}

TEST(Loader, IteratorsOutliveTheLoaderAndStandBesideEachOther) {
  auto loader = std::make_unique<DataLoader>(Indices(20), LoaderOptions{.batch_size = 5, .threads = 2});
  auto one = loader->begin(), two = loader->begin();
  loader.reset();
  ++one;
  EXPECT_EQ(one->target.to_vector<int64_t>().front(), 5);
  EXPECT_EQ((*two).target.to_vector<int64_t>().front(), 0);
  two = std::move(one);
  int left = 0;
  for (; two != std::default_sentinel; ++two) ++left;
  EXPECT_EQ(left, 3);
}

TEST(Loader, KeepsToThePrefetch) {
  Probe probe(100);
  DataLoader loader(probe, {.batch_size = 1, .threads = 2, .prefetch = 3});
  auto iterator = loader.begin();
  std::this_thread::sleep_for(50ms);
  EXPECT_LE(*probe.calls, 1 + 2 * 3);
  EXPECT_GE(*probe.calls, 2);
  for (; iterator != loader.end(); ++iterator) {
  }
  EXPECT_EQ(*probe.calls, 100);
  // As many batches ahead as there are batches, not as many as could be.
  DataLoader greedy(probe, {.batch_size = 50, .threads = 1, .prefetch = INT32_MAX});
  EXPECT_EQ(targets(greedy).size(), 2);
}

TEST(Loader, WorkersWorkAtTheSameTime) {
  Probe probe(24);
  probe.delay = 3ms;
  DataLoader loader(probe, {.batch_size = 2, .threads = 3});
  EXPECT_EQ(targets(loader).size(), 12);
  EXPECT_GE(*probe.most_running, 2);
  EXPECT_LE(*probe.most_running, 3);
}

TEST(Loader, WaitsWithoutWork) {
  Probe probe(20);
  probe.delay = 10ms;
  DataLoader loader(probe, {.batch_size = 2, .threads = 2});
  const std::clock_t before = std::clock();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(targets(loader).size(), 10);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, wall.count() / 2);
}

TEST(Loader, AsksTheSystemForNoMemoryAfterTheFirstEpoch) {
  const Tensor images = zeros({300, 1, 28, 28}, {.dtype = DType::uint8}),
               labels = zeros({300}, {.dtype = DType::int64});
  for (int threads : {0, 1, 3}) {
    DataLoader loader(ImageDataset("zeros", images, labels, {"0"}),
                      {.batch_size = 32, .shuffle = true, .threads = threads});
    targets(loader);
    const int64_t requests = memory_stats().system_requests, in_use = memory_stats().in_use;
    for (int epoch = 0; epoch < 5; ++epoch) targets(loader);
    EXPECT_EQ(memory_stats().system_requests, requests) << threads;
    EXPECT_EQ(memory_stats().in_use, in_use);
  }
}

TEST(Loader, RecordsNothing) {
  const Tensor weight = ones({2}).set_requires_grad();
  const TransformedDataset data(Indices(4), {[&](Sample& sample, Generator&) { sample.input = weight.clone(); }});
  for (int threads : {0, 1}) {
    DataLoader loader(data, {.batch_size = 2, .threads = threads});
    for (Batch& batch : loader) EXPECT_FALSE(batch.input.requires_grad());
  }
}

TEST(Loader, RejectsOptionsThatMakeNoSense) {
  const auto expect_error = [](int64_t samples, const LoaderOptions& options, const char* text) {
    EXPECT_THAT([&] { DataLoader(Indices(samples), options); }, ThrowsMessage<ArgumentError>(HasSubstr(text)));
  };
  expect_error(0, {}, "DataLoader: the data set is empty (indices)");
  expect_error(5, {.batch_size = 0}, "DataLoader: batch_size is 0, expected 1 or more");
  expect_error(5, {.batch_size = -3}, "DataLoader: batch_size is -3, expected 1 or more");
  expect_error(5, {.threads = -1}, "DataLoader: threads is -1, expected 0 or more");
  expect_error(5, {.prefetch = 0}, "DataLoader: prefetch is 0, expected 1 or more");
  expect_error(5, {.batch_size = 6, .drop_last = true},
               "DataLoader: drop_last leaves no batch (5 samples, batch_size 6)");
  DataLoader loader(Indices(5), {.batch_size = 2, .threads = 0, .prefetch = 0});
  EXPECT_EQ(targets(loader).size(), 3);
  EXPECT_THAT([&] { loader.set_epoch(1, 4); },
              ThrowsMessage<ArgumentError>(HasSubstr("set_epoch: there is no batch 4 of epoch 1 (3 batches)")));
  EXPECT_THROW(loader.set_epoch(-1), ArgumentError);
  EXPECT_THROW(loader.set_epoch(0, -1), ArgumentError);
  EXPECT_EQ(&loader.dataset(), &loader.dataset());
  EXPECT_EQ(loader.options().batch_size, 2);
}

TEST(Loader, HandsOutOnItsDevice) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_unavailable(DeviceType::cuda);
  DataLoader loader(Indices(10), {.batch_size = 4, .device = Device::cuda()});
  for (auto& [inputs, labels] : loader) {
    EXPECT_TRUE(inputs.device().is_cuda());
    EXPECT_TRUE(labels.device().is_cuda());
  }
}

}  // namespace
}  // namespace dnn::test
