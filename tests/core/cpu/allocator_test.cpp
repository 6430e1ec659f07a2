// The caching allocator of the CPU: size classes, counters, reuse, limits, threads.
#include "core/cpu/allocator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "core/kernels/runtime.h"
#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"

namespace dnn::cpu {
namespace {

constexpr int64_t KiB = 1024, MiB = 1024 * KiB;

TEST(Allocator, SizeClassesWasteAtMostAnEighth) {
  int64_t previous = 0;
  for (int64_t bytes = 1; bytes < 300 * KiB; bytes += bytes < 2000 ? 1 : 97) {
    const int64_t block = Allocator::block_size(bytes);
    EXPECT_GE(block, bytes);
    EXPECT_EQ(block % 64, 0);
    EXPECT_GE(block, previous);
    EXPECT_EQ(Allocator::block_size(block), block);
    if (bytes > 512) {
      EXPECT_LE(8 * (block - bytes), bytes) << bytes;
    }
    previous = block;
  }
  EXPECT_EQ(Allocator::block_size(1), 64);
  EXPECT_EQ(Allocator::block_size(64), 64);
  EXPECT_EQ(Allocator::block_size(513), 576);
  EXPECT_EQ(Allocator::block_size(MiB), MiB);
  EXPECT_EQ(Allocator::block_size(MiB - MiB / 32), MiB);
  EXPECT_EQ(Allocator::block_size(MiB + 1), MiB + 64);
}

TEST(Allocator, BlocksAreAlignedAndNothingIsNothing) {
  Allocator allocator;
  for (const int64_t bytes : {1, 63, 65, 1000, 5000, 1 << 20}) {
    void* block = allocator.allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u) << bytes;
    std::memset(block, 0xff, static_cast<size_t>(bytes));
    allocator.release(block, bytes);
  }
  const int64_t requests = allocator.stats().system_requests;
  EXPECT_EQ(allocator.allocate(0), nullptr);
  allocator.release(nullptr, 0);
  EXPECT_EQ(allocator.stats().system_requests, requests);
}

TEST(Allocator, ABlockOfTheSameClassIsUsedAgain) {
  Allocator allocator;
  void* first = allocator.allocate(1000);
  void* second = allocator.allocate(1000);
  EXPECT_NE(first, second);
  allocator.release(first, 1000);
  allocator.release(second, 1000);
  EXPECT_EQ(allocator.allocate(1001), second);  // the last one freed is the one in the processor's cache
  EXPECT_EQ(allocator.allocate(990), first);
  EXPECT_EQ(allocator.stats().system_requests, 2);
  allocator.release(first, 990);
  allocator.release(second, 1001);
}

TEST(Allocator, CountersTellUsePeakAndReserve) {
  Allocator allocator;
  void* tensor = allocator.allocate(1000);
  void* workspace = allocator.allocate(5000, Purpose::workspace);
  EXPECT_EQ(allocator.stats().in_use, 1000);
  EXPECT_EQ(allocator.stats().reserved, 1024 + 5120);
  EXPECT_EQ(allocator.stats().system_requests, 2);
  allocator.release(tensor, 1000);
  EXPECT_EQ(allocator.stats().in_use, 0);
  EXPECT_EQ(allocator.stats().peak, 1000);
  EXPECT_EQ(allocator.stats().reserved, 1024 + 5120);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak, 0);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 5120);
  allocator.release(workspace, 5000, Purpose::workspace);
  EXPECT_EQ(allocator.stats().in_use, 0);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

TEST(Allocator, LargeBlocksShareMemory) {
  Allocator allocator;
  void* block = allocator.allocate(30 * MiB);
  const int64_t reserved = allocator.stats().reserved;
  EXPECT_GE(reserved, 30 * MiB);
  allocator.release(block, 30 * MiB);
  void *first = allocator.allocate(9 * MiB), *second = allocator.allocate(20 * MiB);
  EXPECT_EQ(allocator.stats().reserved, reserved);
  EXPECT_EQ(allocator.stats().in_use, 29 * MiB);
  EXPECT_EQ(allocator.stats().system_requests, 1);
  allocator.release(first, 9 * MiB);
  allocator.release_cached();
  EXPECT_LT(allocator.stats().reserved, 22 * MiB);
  allocator.release(second, 20 * MiB);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

TEST(Allocator, WhatLastsLiesApart) {
  Allocator allocator;
  void* tensor = allocator.allocate(30 * MiB);
  allocator.release(tensor, 30 * MiB);
  void* lasting = allocator.allocate(2 * MiB, Purpose::lasting);
  EXPECT_EQ(allocator.allocate(30 * MiB), tensor);
  allocator.release(lasting, 2 * MiB, Purpose::lasting);
  allocator.release(tensor, 30 * MiB);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

TEST(Allocator, OutOfMemoryTellsTheFacts) {
  Allocator allocator(2 * MiB);
  void* kept = allocator.allocate(MiB);
  void* cached = allocator.allocate(MiB / 2);
  allocator.release(cached, MiB / 2);
  EXPECT_ERROR(allocator.allocate(3 * MiB), OutOfMemory,
               "cpu: out of memory, asked for 3.0 MiB (1.0 MiB in use, 0.5 MiB cached, limit 2.0 MiB)");
  EXPECT_EQ(allocator.stats().reserved, MiB);  // the cached block was given back
  EXPECT_EQ(allocator.stats().in_use, MiB);
  void* rest = allocator.allocate(MiB);
  EXPECT_EQ(allocator.stats().reserved, 2 * MiB);
  allocator.release(rest, MiB);
  allocator.release(kept, MiB);
}

TEST(Allocator, CachedBlocksMakeRoomForOthers) {
  Allocator allocator(MiB);
  void* block = allocator.allocate(768 * KiB);
  allocator.release(block, 768 * KiB);
  block = allocator.allocate(512 * KiB);
  EXPECT_EQ(allocator.stats().reserved, 512 * KiB);
  allocator.release(block, 512 * KiB);
}

TEST(Allocator, ImpossibleRequestsAreOutOfMemory) {
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  for (const int64_t bytes : {most, most / 2, int64_t{1} << 50, int64_t{-1}}) {
    EXPECT_THROW(allocator().allocate(bytes), OutOfMemory) << bytes;
  }
  EXPECT_THROW(empty({int64_t{1} << 40, 1 << 10}), OutOfMemory);
  EXPECT_EQ(zeros({3}).to_vector<float>(), std::vector<float>(3, 0.0f));
}

TEST(Allocator, AnInjectedFaultHitsTheChosenAllocation) {
  detail::fail_allocation(2);
  const Tensor first = empty({10});
  EXPECT_ERROR(empty({10}), OutOfMemory, "allocator: 40 bytes on cpu refused by fail_allocation");
  const Tensor third = empty({10});
}

TEST(Allocator, ThreadsShareIt) {
  Allocator allocator;
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::pair<unsigned char*, int64_t>> blocks;
    for (int i = 0; i < 2000; ++i) {
      if (blocks.size() < 20 && random() % 2 == 0) {
        const int64_t bytes = 1 + random() % 5000;
        auto* block = static_cast<unsigned char*>(allocator.allocate(bytes));
        std::memset(block, static_cast<int>(seed), static_cast<size_t>(bytes));
        blocks.emplace_back(block, bytes);
      } else if (!blocks.empty()) {
        const auto [block, bytes] = blocks.back();
        blocks.pop_back();
        EXPECT_EQ(block[0], seed);
        EXPECT_EQ(block[bytes - 1], seed);
        allocator.release(block, bytes);
      }
    }
    for (const auto& [block, bytes] : blocks) allocator.release(block, bytes);
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator.stats().in_use, 0);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved, 0);
}

}  // namespace
}  // namespace dnn::cpu
