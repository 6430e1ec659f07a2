// Many copies in one launch: every pair of types, odd lengths and places, zeros, additions; the numbers of a graph.
#include <gtest/gtest.h>

#include "cuda/context.h"
#include "cuda/graph.h"
#include "cuda/moves.h"
#include "tests/simt/kernel_check.h"
#include "tests/simt/simt.h"

namespace dnn::simt::test {

using cuda::Context;
using cuda::Move;

std::byte* place(const Tensor& t, int64_t element) {
  return static_cast<std::byte*>(detail::raw(t)) + element * static_cast<int64_t>(size_of(t.dtype()));
}

TEST(MoveKernels, CopiesClearsAndAdds) {
  struct Piece {
    int64_t from, to, n;
    bool clear, add;
  };
  const std::vector<Piece> pieces{{0, 0, 4096, false, false},    {5000, 4100, 5000, false, false},
                                  {3, 9101, 37, false, true},    {40, 9140, 1, false, false},
                                  {0, 9141, 70, true, false},    {1, 9211, 0, false, false},
                                  {100, 9216, 128, false, true}, {0, 9344, 8, true, true}};
  using Pair = std::pair<DType, DType>;
  for (const auto& [from, to] : {Pair{DType::float64, DType::float64}, Pair{DType::float32, DType::float32},
                                 Pair{DType::float16, DType::float16}, Pair{DType::bfloat16, DType::bfloat16},
                                 Pair{DType::float32, DType::bfloat16}, Pair{DType::bfloat16, DType::float32}}) {
    SCOPED_TRACE(std::string(name_of(from)) + " to " + name_of(to));
    const Tensor source = uniform({10000}, from), target = uniform({10000}, to);
    const Tensor on_gpu = gpu(source), result = gpu(target);
    std::vector<double> expected = raw_values(target);
    const std::vector<double> values = raw_values(source);
    std::vector<Move> moves;
    for (const Piece& p : pieces) {
      moves.push_back({p.clear ? nullptr : place(on_gpu, p.from), place(result, p.to), p.n, p.add});
      for (int64_t i = 0; i < p.n; ++i) {
        double& e = expected[static_cast<size_t>(p.to + i)];
        e = (p.add ? e : 0) + (p.clear ? 0 : values[static_cast<size_t>(p.from + i)]);
      }
    }
    cuda::move(Context::of(0), from, to, moves);
    Tensor wide = detail::allocate({10000}, DType::float64, cpu);
    std::copy(expected.begin(), expected.end(), wide.data<double>());
    expect_same(result, wide.to(to));
  }
}

TEST(MoveKernels, MovesToOneAddressFollowEachOther) {
  const Tensor a = gpu(uniform({100})), b = gpu(uniform({100})), out = gpu(uniform({100}));
  std::vector<Move> moves;
  for (int i = 0; i < 3; ++i) moves.push_back({detail::raw(i == 1 ? b : a), detail::raw(out), 100, i > 0});
  cuda::move(Context::of(0), DType::float32, DType::float32, moves);
  const std::vector<double> x = raw_values(a), y = raw_values(b), sum = raw_values(out);
  for (size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], 2 * x[i] + y[i], 1e-5);
}

TEST(MoveKernels, MoreThanOneLaunchHolds) {
  const Tensor source = gpu(uniform({1000})), out = gpu(zeros({1000}));
  std::vector<Move> moves;
  for (int64_t i = 0; i < 100; ++i) moves.push_back({place(source, 10 * i), place(out, 990 - 10 * i), 10});
  const int64_t before = counters().launches;
  cuda::move(Context::of(0), DType::float32, DType::float32, moves);
  EXPECT_EQ(counters().launches, before + 3);
  const std::vector<double> x = raw_values(source), y = raw_values(out);
  for (size_t i = 0; i < 1000; ++i) EXPECT_EQ(y[990 - i / 10 * 10 + i % 10], x[i]);
  cuda::move(Context::of(0), DType::float32, DType::float32, {});
  EXPECT_EQ(counters().launches, before + 3);
}

TEST(MoveKernels, VaryingNumbersAreWrittenAsFarAsTheyGo) {
  Context& context = Context::of(0);
  cuda::VaryingBytes values;
  values.bytes.fill(std::byte{7});
  const Tensor place = gpu(zeros({cuda::VaryingBytes::size}, {.dtype = DType::uint8}));
  cuda::set_varying(context, detail::raw(place), values, 100);
  const std::vector<double> seen = raw_values(place);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i < 100 ? 7 : 0) << i;
}

}  // namespace dnn::simt::test
