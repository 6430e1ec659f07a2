// The emulator itself: what it runs, and that it notices what a GPU would punish.
#include <gmock/gmock.h>

#include <numeric>
#include <vector>

#include "cuda/check.h"
#include "cuda/index.cuh"
#include "cuda/reduce.cuh"
#include "dnn/error.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using cuda::Grid;
using ::testing::HasSubstr;

// Device memory of n elements for one test.
template <class T>
class Array {
 public:
  explicit Array(size_t n) : n_(n) {
    void* data = nullptr;
    DNN_CUDA_CHECK(cudaMalloc(&data, n * sizeof(T)));
    data_ = static_cast<T*>(data);
  }
  ~Array() { cudaFree(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> result(n_);
    Context::of(0).to_host(result.data(), data_, static_cast<int64_t>(n_ * sizeof(T)));
    return result;
  }

 private:
  size_t n_;
  T* data_ = nullptr;
};

class Engine : public ::testing::Test {
 protected:
  void SetUp() override { take_failure(); }
  void TearDown() override { set_order(Order::every); }
  Context& context = Context::of(0);
};

// Runs the kernel and gives what the wait reports, empty when all is well.
template <class... Args>
std::string report(Context& context, Args&&... args) {
  try {
    launch(std::forward<Args>(args)...);
    context.wait();
    return "";
  } catch (const BackendError& error) {
    return error.what();
  }
}

__global__ void number_kernel(int* out) {
  for (const auto i : cuda::grid_stride(1000))
    out[i] = static_cast<int>(1000 * blockIdx.x + threadIdx.x + 100000 * (gridDim.x * blockDim.x == 96));
}

TEST_F(Engine, NumbersThreadsAndBlocks) {
  Array<int> out(1000);
  launch(number_kernel, Grid{3, 32}, context, out.data());
  const auto values = out.values();
  EXPECT_EQ(values[0], 100000);
  EXPECT_EQ(values[33], 101001);
  EXPECT_EQ(values[95], 102031);
  EXPECT_EQ(values[96], 100000);
}

// Every thread takes its neighbour's number: right only when all have been written.
__global__ void neighbour_kernel(int* out, bool barrier) {
  int* shared = cuda::block_shared<int, 64>();
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (barrier) __syncthreads();
  out[threadIdx.x] = shared[(threadIdx.x + 1) % 64];
}

TEST_F(Engine, AMissingBarrierGivesOtherResultsInOtherOrders) {
  Array<int> out(64);
  std::vector<std::vector<int>> results;
  for (const Order order : {Order::forward, Order::backward, Order::shuffled}) {
    set_order(order);
    launch(neighbour_kernel, Grid{1, 64}, context, out.data(), false);
    results.push_back(out.values());
  }
  EXPECT_NE(results[0], results[1]);
  EXPECT_NE(results[0], results[2]);
  EXPECT_EQ(results[0][0], -1) << "shared memory is poisoned";

  set_order(Order::every);
  EXPECT_THAT(report(context, neighbour_kernel, Grid{1, 64}, context, out.data(), false),
              AllOf(HasSubstr("neighbour_kernel"), HasSubstr("a barrier is missing")));
  EXPECT_EQ(report(context, neighbour_kernel, Grid{1, 64}, context, out.data(), true), "");
  EXPECT_EQ(out.values()[63], 0);
  EXPECT_EQ(out.values()[5], 6);
}

TEST_F(Engine, SeedsGiveDifferentShuffles) {
  Array<int> out(64);
  set_order(Order::shuffled, 1);
  launch(neighbour_kernel, Grid{1, 64}, context, out.data(), false);
  const auto first = out.values();
  set_order(Order::shuffled, 2);
  launch(neighbour_kernel, Grid{1, 64}, context, out.data(), false);
  EXPECT_NE(out.values(), first);
  set_order(Order::shuffled, 1);
  launch(neighbour_kernel, Grid{1, 64}, context, out.data(), false);
  EXPECT_EQ(out.values(), first);
}

// Shared memory of one block must not be read by the next.
__global__ void left_over_kernel(int* out) {
  int* shared = cuda::block_shared<int, 1>();
  out[blockIdx.x] = shared[0];
  __syncthreads();
  if (threadIdx.x == 0) shared[0] = 7;
}

TEST_F(Engine, SharedMemoryIsPoisonedBetweenBlocks) {
  Array<int> out(3);
  launch(left_over_kernel, Grid{3, 32}, context, out.data());
  EXPECT_EQ(out.values(), (std::vector<int>{-1, -1, -1}));
}

__global__ void early_return_kernel(int* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

TEST_F(Engine, AnEarlyReturnPastABarrierIsReported) {
  Array<int> out(32);
  EXPECT_THAT(report(context, early_return_kernel, Grid{1, 32}, context, out.data()),
              AllOf(HasSubstr("early_return_kernel"), HasSubstr("block 0"),
                    HasSubstr("thread 0 (31 in all) waits at the block's barrier in engine_test.cpp:"),
                    HasSubstr("thread 5 (1 in all) returned")));
  EXPECT_EQ(report(context, number_kernel, Grid{1, 32}, context, Array<int>(1000).data()), "") << "usable afterwards";
}

TEST_F(Engine, WithSyncLaunchTheLaunchItselfNamesTheKernel) {
  Array<int> out(32);
  context.set_sync_launch(true);
  try {
    launch(early_return_kernel, Grid{1, 32}, context, out.data());
    ADD_FAILURE() << "expected BackendError";
  } catch (const BackendError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cuda: dnn::simt::test::early_return_kernel failed, expected success ("));
  }
  context.set_sync_launch(false);
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads();
}

TEST_F(Engine, BarriersInDifferentPlacesAreReported) {
  EXPECT_THAT(report(context, two_barriers_kernel, Grid{1, 32}, context),
              AllOf(HasSubstr("not every thread reaches each barrier"), HasSubstr("thread 16 (16 in all) waits")));
}

__global__ void warp_against_block_kernel() {
  if (threadIdx.x == 0)
    __syncthreads();
  else
    __syncwarp();
}

TEST_F(Engine, AWarpThatWaitsForALaneAtAnotherBarrierIsReported) {
  EXPECT_THAT(report(context, warp_against_block_kernel, Grid{1, 32}, context), HasSubstr("waits for its warp"));
}

__global__ void shuffle_kernel(int* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int* mine = out + 5 * (blockIdx.x * blockDim.x + threadIdx.x);
  mine[0] = __shfl_xor_sync(0xffffffffu, lane, 1);
  mine[1] = __shfl_down_sync(0xffffffffu, lane, 4);
  mine[2] = __shfl_sync(0xffffffffu, lane, 3, 8);
  mine[3] = static_cast<int>(__shfl_xor_sync(0xffffffffu, int64_t{lane} << 33, 31) >> 33);
  mine[4] = static_cast<int>(__ballot_sync(0xffffffffu, lane % 2));
}

TEST_F(Engine, LanesExchangeValues) {
  Array<int> out(5 * 128);
  EXPECT_EQ(report(context, shuffle_kernel, Grid{2, 64}, context, out.data()), "");
  const auto values = out.values();
  for (int thread = 0; thread < 128; ++thread) {
    const int lane = thread % 32;
    const std::vector<int> expected{lane ^ 1, lane + 4 < 32 ? lane + 4 : lane, lane / 8 * 8 + 3, 31 - lane,
                                    static_cast<int>(0xaaaaaaaau)};
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(values[static_cast<size_t>(5 * thread) + k], expected[k]) << k;
  }
}

__global__ void partial_warp_kernel(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_xor_sync(0xffu, static_cast<int>(threadIdx.x), 7);
  if (threadIdx.x == 9) out[8] = __shfl_sync(1u << 9, 4, 0);  // lane 0 takes no part
}

TEST_F(Engine, AShuffleFromALaneOutsideTheMaskIsReported) {
  Array<int> out(9);
  EXPECT_THAT(report(context, partial_warp_kernel, Grid{1, 32}, context, out.data()),
              HasSubstr("thread 9 reads lane 0, which takes no part (mask 0x200)"));
}

__global__ void missing_lanes_kernel(int* out) { out[0] = __shfl_xor_sync(0xffffffffu, 1, 1); }

TEST_F(Engine, AFullMaskInABlockOfHalfAWarpIsReported) {
  Array<int> out(1);
  EXPECT_THAT(report(context, missing_lanes_kernel, Grid{1, 16}, context, out.data()), HasSubstr("waits for its warp"));
}

// Each sum is read from memory that the next one overwrites, unless block_reduce guards it.
__global__ void block_sums_kernel(int* out) {
  for (int round = 0; round < 3; ++round) {
    const int sum = cuda::block_sum(static_cast<int>(threadIdx.x) + round);
    const int most = cuda::block_max(static_cast<int>(threadIdx.x * 7 % blockDim.x));
    if (threadIdx.x == blockDim.x - 1) out[round] = sum, out[3 + round] = most;
  }
}

TEST_F(Engine, BlockHelpers) {
  for (const unsigned threads : {32u, 96u, 256u, 1024u}) {
    Array<int> out(6);
    EXPECT_EQ(report(context, block_sums_kernel, Grid{1, threads}, context, out.data()), "");
    const int n = static_cast<int>(threads), base = n * (n - 1) / 2;
    EXPECT_EQ(out.values(), (std::vector<int>{base, base + n, base + 2 * n, n - 1, n - 1, n - 1}));
  }
}

__global__ void write_at_kernel(int* out, int64_t at) { out[at] = 1; }

TEST_F(Engine, WritesOutsideOfABlockNameTheKernel) {
#ifdef __SANITIZE_ADDRESS__
  Array<int> guarded(8);
  EXPECT_DEATH(report(context, write_at_kernel, Grid{1, 1}, context, guarded.data(), 8), "write_at_kernel");
  GTEST_SKIP() << "the address sanitizer reports it and ends the program";
#endif
  Array<int> out(8);
  EXPECT_EQ(report(context, write_at_kernel, Grid{1, 1}, context, out.data(), 7), "");
  for (const int64_t at : {-1, 8, 20}) {
    EXPECT_THAT(report(context, write_at_kernel, Grid{1, 1}, context, out.data(), at),
                AllOf(HasSubstr("write_at_kernel"), HasSubstr("a write outside of a block of 32 bytes")));
  }
}

__global__ void shared_overflow_kernel(int at) { cuda::block_shared<int, 4>()[at] = 1; }

TEST_F(Engine, WritesBehindASharedArrayAreReported) {
  EXPECT_EQ(report(context, shared_overflow_kernel, Grid{1, 1}, context, 3), "");
  EXPECT_THAT(report(context, shared_overflow_kernel, Grid{1, 1}, context, 4),
              HasSubstr("a write behind a shared array of 16 bytes"));
}

__global__ void much_shared_kernel() { cuda::block_shared<double, 8000>()[0] = 1; }

TEST_F(Engine, SharedMemoryIsLimited) {
  EXPECT_THAT(report(context, much_shared_kernel, Grid{1, 1}, context),
              HasSubstr("the block's shared arrays take 64000 bytes, expected at most 49152"));
}

TEST_F(Engine, FreshMemoryIsPoisoned) {
  Array<float> out(4);
  for (const float x : out.values()) EXPECT_TRUE(std::isnan(x));
}

TEST_F(Engine, ABadConfigurationIsRefused) {
  EXPECT_THAT(report(context, much_shared_kernel, Grid{1, 2048}, context),
              AllOf(HasSubstr("much_shared_kernel"), HasSubstr("cudaErrorInvalidConfiguration")));
}

__global__ void argument_kernel(double* out, float x, int64_t n, bool flag) {
  x += 1;  // a copy of its own for each thread
  if (threadIdx.x == 31) out[0] = x, out[1] = static_cast<double>(n), out[2] = flag;
}

TEST_F(Engine, ArgumentsBecomeTheParametersTypes) {
  Array<double> out(3);
  launch(argument_kernel, Grid{1, 32}, context, out.data(), 0.1, 7, 1);
  EXPECT_EQ(out.values(), (std::vector<double>{0.1f + 1.0f, 7, 1}));
}

TEST_F(Engine, OrdersHaveNames) {
  EXPECT_NO_THROW(set_order(std::string("shuffled:12")));
  EXPECT_THROW(set_order(std::string("sideways")), std::invalid_argument);
}

TEST_F(Engine, KernelsAreCountedAndNamed) {
  const Counters before = counters();
  launch(argument_kernel, Grid{1, 32}, context, Array<double>(3).data(), 0, 0, 0);
  drain();
  EXPECT_EQ(counters().launches - before.launches, 1);
  EXPECT_TRUE(executed_kernels().contains("argument_kernel"));
}

}  // namespace dnn::simt::test
