// The caching allocator: what it asks of the driver, what it gives back, what it says when nothing is left.
#include "cuda/allocator.h"

#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "cuda/context.h"
#include "dnn/error.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using ::testing::HasSubstr;

constexpr int64_t mib = int64_t{1} << 20;

class Allocator : public ::testing::Test {
 protected:
  Allocator() : allocator(0) { allocator.set_caching(true); }
  ~Allocator() override {
    for (void* data : taken) allocator.release(data);
    allocator.release_cached();
    set_machine({});
  }
  void* take(int64_t bytes) { return taken.emplace_back(allocator.allocate(bytes)); }
  void drop(void* data) {
    allocator.release(data);
    std::erase(taken, data);
  }
  cuda::Allocator allocator;
  std::vector<void*> taken;
};

TEST_F(Allocator, CountsWhatIsUsedAndWhatIsHeld) {
  void* a = take(1000);
  void* b = take(3 * mib);
  EXPECT_EQ(allocator.stats().in_use, 1000 + 3 * mib);
  EXPECT_EQ(allocator.stats().reserved, 2 * mib + 4 * mib);
  EXPECT_EQ(allocator.stats().system_requests, 2);
  drop(b);
  EXPECT_EQ(allocator.stats().in_use, 1000);
  EXPECT_EQ(allocator.stats().peak, 1000 + 3 * mib);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak, 1000);
  drop(a);
  EXPECT_EQ(allocator.stats().in_use, 0);
}

TEST_F(Allocator, NothingForNothing) {
  EXPECT_EQ(take(0), nullptr);
  drop(nullptr);
  EXPECT_EQ(allocator.stats().system_requests, 0);
}

TEST_F(Allocator, ReusesWhatWasReleased) {
  void* a = take(5000);
  drop(a);
  EXPECT_EQ(take(4900), a);
  EXPECT_EQ(allocator.stats().system_requests, 1);
}

TEST_F(Allocator, AlignsTo512Bytes) {
  auto* a = static_cast<char*>(take(1));
  auto* b = static_cast<char*>(take(1));
  EXPECT_EQ(b - a, 512);
}

TEST_F(Allocator, JoinsNeighboursAgain) {
  void* blocks[4];
  for (void*& block : blocks) block = take(mib / 2);
  for (const int i : {1, 3, 0, 2}) drop(blocks[i]);
  EXPECT_EQ(take(mib), blocks[0]);
  EXPECT_EQ(allocator.stats().system_requests, 1);
}

TEST_F(Allocator, GivesWholeSegmentsBack) {
  void* a = take(10);
  void* b = take(3 * mib);
  drop(b);
  const int64_t live = counters().live_blocks;
  allocator.release_cached();
  EXPECT_EQ(counters().live_blocks, live - 1) << "the segment with a live block stays";
  EXPECT_EQ(allocator.stats().reserved, 2 * mib);
  drop(a);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

TEST_F(Allocator, GivesCachedBlocksBackBeforeItGivesUp) {
  const int64_t used = [] {
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return static_cast<int64_t>(total - free);
  }();
  set_machine({.memory = used + 10 * mib});
  drop(take(8 * mib));
  void* a = take(9 * mib);  // fits only without the cached 8 MiB
  EXPECT_NE(a, nullptr);
  EXPECT_EQ(allocator.stats().reserved, 10 * mib);
}

TEST_F(Allocator, TakesTheLastBytesWhenASegmentDoesNotFit) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + 5 * mib + 4096});
  EXPECT_NE(take(5 * mib), nullptr);
  EXPECT_NE(take(1000), nullptr);
  EXPECT_EQ(allocator.stats().reserved, 5 * mib + 1024);
}

TEST_F(Allocator, OutOfMemoryNamesTheNumbersAndLeavesAllUsable) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  set_machine({.memory = static_cast<int64_t>(total - free) + 8 * mib});
  void* a = take(4 * mib);
  drop(take(1000));
  try {
    take(16 * mib);
    FAIL() << "expected OutOfMemory";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), HasSubstr("allocate: 16777216 bytes do not fit on cuda:0, expected at most the 4194304 "
                                        "bytes that are free of "));
    EXPECT_THAT(error.what(), HasSubstr("(4194304 bytes in use, 0 cached)"));
  }
  EXPECT_EQ(allocator.stats().in_use, 4 * mib);
  void* b = take(4 * mib);
  EXPECT_NE(b, nullptr);
  drop(a);
  drop(b);
  EXPECT_THROW(take(INT64_MAX), OutOfMemory);
}

TEST_F(Allocator, WithoutCacheEveryRequestGoesToTheDriver) {
  allocator.set_caching(false);
  void* a = take(1001);
  EXPECT_EQ(allocator.stats().reserved, 1001);
  drop(a);
  EXPECT_EQ(allocator.stats().reserved, 0);
  drop(take(1001));
  EXPECT_EQ(allocator.stats().system_requests, 2);
}

TEST_F(Allocator, SurvivesARandomLife) {
  std::mt19937 random(3);
  std::vector<std::pair<char*, int64_t>> live;
  for (int step = 0; step < 3000; ++step) {
    if (live.size() < 40 && random() % 2 == 0) {
      const int64_t bytes = 1 + random() % (random() % 4 == 0 ? 3 * mib : 20000);
      auto* data = static_cast<char*>(allocator.allocate(bytes));
      for (const auto& [other, size] : live) ASSERT_TRUE(data + bytes <= other || other + size <= data) << "overlap";
      live.emplace_back(data, bytes);
    } else if (!live.empty()) {
      const size_t i = random() % live.size();
      allocator.release(live[i].first);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
    }
    int64_t in_use = 0;
    for (const auto& [unused, size] : live) in_use += size;
    ASSERT_EQ(allocator.stats().in_use, in_use);
    ASSERT_LE(in_use, allocator.stats().reserved);
  }
  for (const auto& [data, unused] : live) allocator.release(data);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0) << "all neighbours were joined";
}

}  // namespace dnn::simt::test
