// Large blocks: growing, cutting, joining, best fit, giving back.
#include "core/cpu/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/cpu/poison.h"

namespace dnn::cpu {
namespace {

constexpr int64_t MiB = int64_t{1} << 20, header = Arena::header_bytes;
constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

void* take(Arena& arena, int64_t bytes) {
  void* const block = arena.take(bytes, unlimited);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
  unpoison(block, bytes);
  return block;
}

TEST(Arena, HoldsWhatItWasAskedFor) {
  Arena arena(64 * MiB);
  EXPECT_EQ(arena.held(), 0);
  void* const first = take(arena, 3 * MiB);
  EXPECT_EQ(arena.held(), 3 * MiB + header);
  EXPECT_EQ(arena.free_bytes(), 0);
  arena.release(first);
  EXPECT_EQ(arena.free_bytes(), 3 * MiB + header);
  EXPECT_EQ(take(arena, 3 * MiB), first);
  EXPECT_EQ(arena.requests(), 1);
}

TEST(Arena, BlocksOfOtherSizesUseTheSameMemory) {
  Arena arena(64 * MiB);
  void* const large = take(arena, 50 * MiB);
  arena.release(large);
  std::vector<void*> small;
  for (int i = 0; i < 4; ++i) small.push_back(take(arena, 12 * MiB));
  EXPECT_EQ(small[0], large);
  for (const size_t i : {1, 3, 0, 2}) arena.release(small[i]);
  EXPECT_EQ(take(arena, 50 * MiB), large);  // joined again
  EXPECT_EQ(arena.held(), 50 * MiB + header);
}

TEST(Arena, TheSmallestBlockThatIsLargeEnoughIsTaken) {
  Arena arena(64 * MiB);
  void *const large = take(arena, 20 * MiB), *const between = take(arena, 2 * MiB);
  void *const small = take(arena, 9 * MiB), *const end = take(arena, 2 * MiB);
  arena.release(large), arena.release(small);
  EXPECT_EQ(take(arena, 8 * MiB), small);
  EXPECT_EQ(take(arena, 10 * MiB), large);
  arena.release(between), arena.release(end);
}

TEST(Arena, AFreeBlockAtTheEndGrows) {
  Arena arena(64 * MiB);
  void* const first = take(arena, 4 * MiB);
  arena.release(first);
  EXPECT_EQ(take(arena, 6 * MiB), first);
  EXPECT_EQ(arena.held(), 6 * MiB + header);
}

TEST(Arena, TakesNoMoreThanThereIsRoomFor) {
  Arena arena(64 * MiB);
  EXPECT_EQ(arena.take(4 * MiB, 4 * MiB), nullptr);  // the header
  void* const block = arena.take(4 * MiB, 4 * MiB + header);
  ASSERT_NE(block, nullptr);
  arena.release(block);
  EXPECT_EQ(arena.take(4 * MiB, 0), block);  // needs none
  EXPECT_EQ(arena.take(int64_t{1} << 50, unlimited), nullptr);
}

TEST(Arena, FreeBlocksGoBackToTheSystem) {
  Arena arena(64 * MiB);
  auto* const first = static_cast<char*>(take(arena, 8 * MiB));
  void* const second = take(arena, 4 * MiB);
  std::memset(first, 1, 8 * MiB);
  arena.release(first);
  arena.give_back();
  EXPECT_EQ(arena.held(), 4 * MiB + header);
  EXPECT_EQ(arena.free_bytes(), 0);
  EXPECT_EQ(arena.take(6 * MiB, 1 * MiB), nullptr);  // its memory would have to be asked for again
  auto* const again = static_cast<char*>(take(arena, 6 * MiB));
  EXPECT_EQ(again, first);
  EXPECT_EQ(again[3 * MiB], 0);  // fresh
  EXPECT_EQ(arena.held(), 10 * MiB + 2 * header);
  arena.release(second);
  arena.release(again);
  arena.give_back();
  EXPECT_LE(arena.held(), 12 * MiB);
}

TEST(Arena, WhatWentBackCountsWhenItIsUsedAgainOnly) {
  Arena arena(64 * MiB);
  void *const large = take(arena, 8 * MiB), *const small = take(arena, 2 * MiB), *const end = take(arena, 2 * MiB);
  arena.release(large);
  arena.give_back();
  arena.release(small);  // beside it
  EXPECT_EQ(arena.held(), 4 * MiB + 2 * header);
  EXPECT_EQ(arena.take(8 * MiB, 4 * MiB), nullptr);
  arena.give_back();
  EXPECT_EQ(arena.take(10 * MiB, unlimited), large);  // joined
  arena.release(end);
  arena.give_back();
  EXPECT_EQ(arena.take(1 * MiB, 1 * MiB), nullptr);  // less than the header wants
  EXPECT_NE(arena.take(1 * MiB, 1 * MiB + header), nullptr);
}

TEST(Arena, BlocksNeverOverlap) {
  Arena arena(unlimited);
  std::mt19937 random(1);
  struct Piece {
    unsigned char* data;
    int64_t bytes;
    unsigned char mark;
  };
  std::vector<Piece> pieces;
  int64_t in_use = 0, most = 0;
  for (int step = 0; step < 2000; ++step) {
    if (step % 500 == 499) arena.give_back();
    if (pieces.size() < 12 && random() % 2 == 0) {
      const int64_t bytes = 64 * (1 + static_cast<int64_t>(random() % (1 << 15)));
      auto* const data = static_cast<unsigned char*>(take(arena, bytes));
      const auto mark = static_cast<unsigned char>(step);
      std::memset(data, mark, static_cast<size_t>(bytes));
      pieces.push_back({data, bytes, mark});
      in_use += bytes;
      most = std::max(most, in_use);
    } else if (!pieces.empty()) {
      const size_t at = random() % pieces.size();
      const Piece piece = pieces[at];
      for (const int64_t i : {int64_t{0}, piece.bytes / 2, piece.bytes - 1}) ASSERT_EQ(piece.data[i], piece.mark);
      arena.release(piece.data);
      pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at));
      in_use -= piece.bytes;
    }
  }
  EXPECT_LT(arena.held(), 2 * most);  // little lies idle between them
  for (const Piece& piece : pieces) arena.release(piece.data);
  EXPECT_EQ(arena.free_bytes(), arena.held());
}

}  // namespace
}  // namespace dnn::cpu
