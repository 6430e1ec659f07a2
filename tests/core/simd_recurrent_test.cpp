// The vectorised kernels of recurrent layers: every variant against float64, sizes that fill no tile, weights that stay
// in a cache and that do not, with and without a way back, and any number of threads.
#define DNN_SIMD_VARIANT as_compiled_here
#include "core/cpu/simd/gates.h"
#include "dnn/autograd.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/recurrent.h"
#include "dnn/ops/reduce.h"
#include "tests/core/variants.h"

namespace dnn {
namespace {

using namespace test;

enum class Cell { lstm, gru, tanh, relu };
constexpr Cell cells[] = {Cell::lstm, Cell::gru, Cell::tanh, Cell::relu};

struct Problem {
  int64_t steps, batch, input, hidden;
};
// The last ones have weights of more than 1 MiB; the first so few rows that weights are read in place.
constexpr Problem problems[] = {{1, 1, 1, 1},    {2, 3, 5, 7},     {3, 5, 40, 33},    {4, 11, 9, 16},
                                {3, 13, 28, 70}, {2, 64, 17, 129}, {2, 50, 100, 300}, {1, 3, 300, 270}};

struct Outcome {
  std::vector<double> output;                  // y, h_n, c_n
  std::vector<std::vector<double>> gradients;  // of x, h, c, then of the weights
};

Outcome run(Cell cell, const Problem& p, DType dtype, bool training) {
  const int64_t rows = p.hidden * (cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1);
  uint64_t seed = 0;
  const auto make = [&](const Shape& shape, double bound) {
    Tensor t = some_tensor(shape, DType::float32, -bound, bound, ++seed).to(dtype);
    t.set_requires_grad(training);
    return t;
  };
  const double bound = 2 / std::sqrt(static_cast<double>(p.hidden));
  std::vector<Tensor> leaves{make({p.steps, p.batch, p.input}, 1), make({1, p.batch, p.hidden}, 1)};
  const Tensor c = make({1, p.batch, p.hidden}, 1);
  if (cell == Cell::lstm) leaves.push_back(c);
  const RecurrentWeights w{make({rows, p.input}, bound), make({rows, p.hidden}, bound), make({rows}, 1),
                           make({rows}, 1)};
  leaves.insert(leaves.end(), {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh});
  const Tensor& x = leaves[0];
  const Tensor& h = leaves[1];
  const RecurrentOutput y =
      cell == Cell::lstm  ? lstm(x, {w}, {h, c})
      : cell == Cell::gru ? gru(x, {w}, {h})
                          : rnn(x, {w}, {h}, {}, cell == Cell::relu ? RnnNonlinearity::relu : RnnNonlinearity::tanh);
  Outcome result{numbers(y.output), {}};
  for (const Tensor& state : {y.h_n, y.c_n}) {
    if (!state.defined()) continue;
    for (const double value : numbers(state)) result.output.push_back(value);
  }
  if (!training) return result;
  Tensor loss = sum(y.output * some_tensor(y.output.shape(), DType::float32, -1, 1, 77).to(dtype));
  if (y.c_n.defined()) loss = loss + sum(y.c_n * some_tensor(y.c_n.shape(), DType::float32, -1, 1, 78).to(dtype));
  loss.backward();
  for (const Tensor& leaf : leaves) result.gradients.push_back(numbers(leaf.grad()));
  return result;
}

void for_each_problem(const std::function<void(Cell, const Problem&)>& f) {
  for (const Cell cell : cells)
    for (const Problem& p : problems) {
      SCOPED_TRACE(static_cast<int>(cell));
      SCOPED_TRACE(Shape({p.steps, p.batch, p.input, p.hidden}).str());
      f(cell, p);
    }
}

TEST(Recurrent, EveryVariantAgreesWithFloat64) {
  for_each_problem([](Cell cell, const Problem& p) {
    install_variant("baseline");
    const Outcome exact = run(cell, p, DType::float64, true);
    for_each_variant([&] {
      const Outcome result = run(cell, p, DType::float32, true);
      expect_close(result.output, exact.output, 2e-5);
      ASSERT_EQ(result.gradients.size(), exact.gradients.size());
      for (size_t i = 0; i < exact.gradients.size(); ++i) {
        SCOPED_TRACE(i);
        expect_close(result.gradients[i], exact.gradients[i], 2e-4);
      }
    });
  });
}

TEST(Recurrent, WithoutAWayBackTheResultIsTheSame) {
  for_each_problem([](Cell cell, const Problem& p) {
    for_each_variant(
        [&] { EXPECT_EQ(run(cell, p, DType::float32, false).output, run(cell, p, DType::float32, true).output); });
  });
}

// One step of one sequence reads the weights in place.
TEST(Recurrent, OneRowComesOutAsAmongMany) {
  for_each_variant([] {
    for (const Cell cell : cells)
      for (const int64_t hidden : {7, 64, 301}) {
        const auto first = [&](int64_t batch) {
          std::vector<double> output = run(cell, {1, batch, 40, hidden}, DType::float32, false).output;
          output.resize(static_cast<size_t>(hidden));
          return output;
        };
        SCOPED_TRACE(std::to_string(static_cast<int>(cell)) + " " + std::to_string(hidden));
        expect_close(first(1), first(30), 1e-6);  // to the last digit where the compiler makes the same instructions
      }
  });
}

#ifdef _OPENMP
TEST(Recurrent, DoesNotDependOnTheNumberOfThreads) {
  const int threads = omp_get_max_threads();
  for_each_problem([](Cell cell, const Problem& p) {
    omp_set_num_threads(1);
    const Outcome one = run(cell, p, DType::float32, true);
    for (const int count : {2, 3, 8}) {
      omp_set_num_threads(count);
      const Outcome result = run(cell, p, DType::float32, true);
      EXPECT_EQ(result.output, one.output);
      for (size_t i = 0; i < one.gradients.size(); ++i) {
        SCOPED_TRACE(i);
        expect_close(result.gradients[i], one.gradients[i], 1e-5);  // products of oneDNN split their sums as they like
      }
    }
  });
  omp_set_num_threads(threads);
}
#endif

double error_in_ulp(float actual, double exact) {
  return std::abs(static_cast<double>(actual) - exact) / std::ldexp(1.0, std::max(std::ilogb(exact), -126) - 23);
}

TEST(Gates, AreWithin6Ulp) {
  using namespace cpu::as_compiled_here;
  double worst = 0;
  for (uint32_t bits = 0x00800000; bits < 0x42ae0000; bits += 997) {  // the normal numbers up to 87
    for (const float x : {detail::bits_float(bits), -detail::bits_float(bits)}) {
      worst = std::max(worst, error_in_ulp(gate_tanh(x), std::tanh(static_cast<double>(x))));
      worst = std::max(worst, error_in_ulp(gate_sigmoid(x), 1 / (1 + std::exp(-static_cast<double>(x)))));
      ASSERT_LE(std::abs(gate_tanh(x)), 1.0f) << x;
    }
  }
  EXPECT_LE(worst, 6);
}

TEST(Gates, KnowTheirLimits) {
  using namespace cpu::as_compiled_here;
  const auto inf = static_cast<float>(infinity);
  EXPECT_EQ(gate_tanh(0.0f), 0.0f);
  EXPECT_NEAR(gate_tanh(inf), 1.0f, 6e-8f);
  EXPECT_NEAR(gate_tanh(-inf), -1.0f, 6e-8f);
  EXPECT_EQ(gate_sigmoid(inf), 1.0f);
  EXPECT_NEAR(gate_sigmoid(-inf), 0.0f, 2e-38f);
  for (const uint32_t bits : {0x7fc00000u, 0xffc00001u, 0x7fffffffu}) {
    EXPECT_TRUE(std::isnan(gate_tanh(detail::bits_float(bits))));
    EXPECT_TRUE(std::isnan(gate_sigmoid(detail::bits_float(bits))));
  }
}

}  // namespace
}  // namespace dnn
