// The vectorised CPU kernels, part three: filling, copying and converting, random numbers, and the optimizers against
// plain loops.
#include <gtest/gtest.h>

#include <cmath>

#include "core/kernels/copy.h"
#include "core/kernels/optim.h"
#include "core/math.h"
#include "tests/core/variants.h"

namespace dnn {
namespace {

using namespace test;

constexpr DType all_types[] = {DType::float64, DType::float32, DType::float16, DType::bfloat16,
                               DType::int64,   DType::int32,   DType::uint8,   DType::boolean};

Tensor converted(const Tensor& in, DType dtype) {
  const Tensor out = empty(in.shape(), {.dtype = dtype});
  kernel::copy[cpu_device](in, out);
  return out;
}

TEST(Copy, EveryPairOfTypesKeepsWhatBothHold) {
  for_each_variant([] {
    for (const DType from : all_types) {
      for (const DType to : all_types) {
        SCOPED_TRACE(std::string(name_of(from)) + " to " + name_of(to));
        std::vector<double> values;
        for (int i = 0; i < 2500; ++i) values.push_back(i * 7 % 129);
        const bool narrow = from == DType::boolean || to == DType::boolean;
        const Tensor in = converted(from_values(values, {2500}), from);
        const std::vector<double> results = numbers(converted(in, to));
        for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(results[i], narrow ? values[i] != 0 : values[i]) << i;
      }
    }
  });
}

TEST(Copy, CutsFractionsTowardsZero) {
  for_each_variant([] {
    for (const DType from : floating_types) {
      const Tensor in = of_type({2.75, -2.75, 0.5, -0.5, 200.5, -3}, {6}, from);
      EXPECT_EQ(numbers(converted(in, DType::int64)), (std::vector<double>{2, -2, 0, 0, 200, -3}));
      EXPECT_EQ(numbers(converted(in, DType::int32)), (std::vector<double>{2, -2, 0, 0, 200, -3}));
      EXPECT_EQ(numbers(converted(in, DType::uint8)), (std::vector<double>{2, 254, 0, 0, 200, 253}));
      const Tensor special = of_type({nan, 0.0, -0.0, 1e-4, infinity}, {5}, from);
      EXPECT_EQ(numbers(converted(special, DType::boolean)), (std::vector<double>{1, 0, 0, 1, 1}));
    }
    EXPECT_EQ(numbers(converted(of_type({-1, 256, 511}, {3}, DType::int64), DType::uint8)),
              (std::vector<double>{255, 0, 255}));
  });
}

TEST(Copy, RoundsOnce) {
  for_each_variant([] {
    // By way of float the tail would be lost, and the halves would be rounded to even.
    const double tail = 0x1p-40;
    const Tensor in =
        from_values(std::vector<double>{1 + 0x1p-11 + tail, 1 + 0x1p-11, 1 + 0x1p-11 - tail, 1 + 0x3p-11 - tail,
                                        -1 - 0x1p-11 - tail, 65520 - 1e-6, 65520, 0x1p-25 + tail, 1e300, nan},
                    {10});
    const std::vector<double> half = numbers(converted(in, DType::float16));
    expect_close(half, {1 + 0x1p-10, 1, 1, 1 + 0x1p-10, -1 - 0x1p-10, 65504, infinity, 0x1p-24, infinity, nan}, 0);
    const Tensor wide =
        from_values(std::vector<double>{1 + 0x1p-8 + tail, 1 + 0x1p-8, 1 + 0x3p-8 - tail, 1e300, -1e-300, nan}, {6});
    expect_close(numbers(converted(wide, DType::bfloat16)), {1 + 0x1p-7, 1, 1 + 0x1p-7, infinity, 0, nan}, 0);
    EXPECT_EQ(numbers(converted(of_type({0x1p30 + 0x1p22 + 1}, {1}, DType::int32), DType::bfloat16))[0],
              0x1p30 + 0x1p23);
    EXPECT_EQ(numbers(converted(from_values(std::vector<double>{1 + 0x1p-24 + tail}, {1}), DType::float32))[0],
              1 + 0x1p-23);
  });
}

TEST(Copy, FollowsStridesOnBothSides) {
  const Tensor base = some_tensor({30000}, DType::float32);
  struct Case {
    Shape shape;
    Strides in, out;
  };
  const Case cases[] = {
      {{100, 200}, {1, 100}, {200, 1}},
      {{100, 200}, {200, 1}, {1, 100}},
      {{7, 1500}, {0, 1}, {2, 14}},
      {{5, 6, 7, 8}, {1, 5, 30, 210}, {336, 1, 48, 6}},
      {{}, {}, {}},
      {{3, 0}, {0, 1}, {0, 1}},
      {{29000}, {1}, {1}},
      {{29000}, {0}, {1}},
  };
  for_each_variant([&] {
    for (const Case& c : cases) {
      for (const DType dtype : {DType::float32, DType::bfloat16}) {
        SCOPED_TRACE(c.shape.str() + " " + name_of(dtype));
        const Tensor in = detail::make_view(base, c.shape, c.in, 1);
        const Tensor memory = full({30000}, 9, {.dtype = dtype});
        kernel::copy[cpu_device](in, detail::make_view(memory, c.shape, c.out, 2));
        const std::vector<double> from = numbers(base.to(dtype)), results = numbers(memory);
        std::vector<double> expected(30000, 9);
        for (int64_t i = 0; i < c.shape.numel(); ++i) {
          int64_t rest = i, at = 1, to = 2;
          for (int64_t d = c.shape.rank() - 1; d >= 0; --d) {
            at += rest % c.shape[d] * c.in[d];
            to += rest % c.shape[d] * c.out[d];
            rest /= c.shape[d];
          }
          expected[static_cast<size_t>(to)] = from[static_cast<size_t>(at)];
        }
        EXPECT_TRUE(results == expected);
      }
    }
  });
}

TEST(Fill, ConvertsTheNumberAndFollowsStrides) {
  for_each_variant([] {
    for (const DType dtype : all_types) {
      SCOPED_TRACE(name_of(dtype));
      const Tensor memory = zeros({60, 100}, {.dtype = dtype});
      kernel::fill[cpu_device](detail::make_view(memory, {60, 33}, {100, 3}, 1), 2.75);
      const double value = dtype == DType::boolean ? 1 : is_floating(dtype) ? 2.75 : 2;
      const std::vector<double> results = numbers(memory);
      for (size_t i = 0; i < results.size(); ++i)
        ASSERT_EQ(results[i], i % 100 % 3 == 1 && i % 100 < 98 ? value : 0) << i;
      kernel::fill[cpu_device](memory, 0);
      EXPECT_EQ(numbers(memory), std::vector<double>(6000));
    }
    const Tensor flag = zeros({1}, {.dtype = DType::boolean}), large = zeros({1}, {.dtype = DType::int64});
    kernel::fill[cpu_device](flag, 0.5);
    EXPECT_EQ(numbers(flag)[0], 1);
    kernel::fill[cpu_device](large, int64_t{(1LL << 62) + 1});
    EXPECT_EQ(large.to_vector<int64_t>()[0], (1LL << 62) + 1);
  });
}

TEST(Random, FollowsTheDocumentedCounters) {
  for_each_variant([] {
    for (const DType dtype : floating_types) {
      for (const int64_t n : {0, 1, 2, 3, 4, 5, 70001}) {
        const Tensor uniform = empty({n}, {.dtype = dtype}), normal = empty({n}, {.dtype = dtype});
        kernel::random_uniform[cpu_device](uniform, {11, 5});
        kernel::random_normal[cpu_device](normal, {11, 5});
        const std::vector<double> u = numbers(uniform), g = numbers(normal);
        const int bits = dtype == DType::float16 ? 11 : dtype == DType::bfloat16 ? 8 : 24;
        for (int64_t i = 0; i < n; ++i) {
          const uint32_t word = philox(11, 5, static_cast<uint64_t>(i / 4))[static_cast<size_t>(i % 4)];
          ASSERT_EQ(u[static_cast<size_t>(i)], std::ldexp(word >> (32 - bits), -bits)) << i;
          const auto words = philox(11, 5, static_cast<uint64_t>(i / 2));
          float pair[2];
          math::box_muller(words[0], words[1], pair[0], pair[1]);
          ASSERT_NEAR(g[static_cast<size_t>(i)], pair[i % 2], 5 * epsilon(dtype) + 1e-6) << i;
        }
      }
    }
  });
}

TEST(Random, HasTheRightMoments) {
  const int64_t n = 400'000;
  const Tensor uniform = empty({n}, {.dtype = DType::float64}), normal = empty({n}, {.dtype = DType::float64});
  kernel::random_uniform[cpu_device](uniform, {3, 0});
  kernel::random_normal[cpu_device](normal, {3, 1});
  const auto moment = [&](const Tensor& x, double centre, int power) {
    double sum = 0;
    for (const double value : numbers(x)) sum += std::pow(value - centre, power);
    return sum / static_cast<double>(n);
  };
  EXPECT_NEAR(moment(uniform, 0, 1), 0.5, 3e-3);
  EXPECT_NEAR(moment(uniform, 0.5, 2), 1.0 / 12, 1e-3);
  EXPECT_NEAR(moment(normal, 0, 1), 0, 1e-2);
  EXPECT_NEAR(moment(normal, 0, 2), 1, 1e-2);
  EXPECT_NEAR(moment(normal, 0, 3), 0, 3e-2);
  EXPECT_NEAR(moment(normal, 0, 4), 3, 8e-2);
}

// Parameters of several sizes, one of them empty and one for several threads.
struct Lists {
  explicit Lists(DType dtype) {
    uint64_t seed = 1;
    for (const int64_t n : {5, 0, 1, dtype == DType::float32 ? 40001 : 1001, 130}) {
      parameters.push_back(some_tensor({n}, dtype, -1, 1, seed++));
      first.push_back(full({n}, nan, {.dtype = dtype}));
      second.push_back(zeros({n}, {.dtype = dtype}));
    }
  }
  std::vector<Tensor> gradients(uint64_t seed) const {
    std::vector<Tensor> result;
    for (const Tensor& p : parameters) result.push_back(some_tensor(p.shape(), p.dtype(), -1, 1, seed++));
    return result;
  }
  std::vector<Tensor> parameters, first, second;
};

std::vector<double> joined(const std::vector<Tensor>& list) {
  std::vector<double> result;
  for (const Tensor& t : list) {
    for (const double value : numbers(t)) result.push_back(value);
  }
  return result;
}

// torch.optim.SGD, one element at a time.
TEST(Sgd, AgreesWithAPlainLoop) {
  const SgdUpdate settings[] = {
      {.lr = 0.1},
      {.lr = 0.1, .weight_decay = 0.01},
      {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01},
      {.lr = 0.1, .momentum = 0.9, .dampening = 0.3},
      {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
  };
  for_each_variant([&] {
    for (const DType dtype : floating_types) {
      for (SgdUpdate options : settings) {
        SCOPED_TRACE(name_of(dtype));
        Lists lists(dtype);
        std::vector<double> p = joined(lists.parameters), v(p.size());
        for (int step = 0; step < 3; ++step) {
          options.step = step == 0;
          const std::vector<Tensor> gradients = lists.gradients(100 * static_cast<uint64_t>(step + 1));
          const std::vector<double> g = joined(gradients);
          for (size_t i = 0; i < p.size(); ++i) {
            double d = g[i] + options.weight_decay * p[i];
            if (options.momentum != 0) {
              v[i] = step == 0 ? d : options.momentum * v[i] + (1 - options.dampening) * d;
              d = options.nesterov ? d + options.momentum * v[i] : v[i];
            }
            p[i] -= options.lr * d;
          }
          kernel::sgd_update[cpu_device](lists.parameters, gradients,
                                         options.momentum == 0 ? std::vector<Tensor>() : lists.first, options, {});
        }
        expect_close(joined(lists.parameters), p, 6 * epsilon(dtype));
        if (options.momentum != 0) expect_close(joined(lists.first), v, 6 * epsilon(dtype));
      }
    }
  });
}

// torch.optim.Adam and AdamW, one element at a time.
TEST(Adam, AgreesWithAPlainLoop) {
  const AdamUpdate settings[] = {
      {},
      {.lr = 0.01, .weight_decay = 0.1},
      {.lr = 0.01, .weight_decay = 0.1, .decoupled_decay = true},
      {.lr = 0.01, .beta1 = 0.5, .beta2 = 0.9, .eps = 0.1},
  };
  for_each_variant([&] {
    for (const DType dtype : floating_types) {
      for (AdamUpdate options : settings) {
        SCOPED_TRACE(name_of(dtype));
        if (dtype == DType::float16) options.eps = 0.1;  // a mean square below 3e-8 is lost, and without eps the scale
        Lists lists(dtype);
        for (const Tensor& mean : lists.first) kernel::fill[cpu_device](mean, 0);
        std::vector<double> p = joined(lists.parameters), m(p.size()), v(p.size());
        for (options.step = 1; options.step <= 3; ++options.step) {
          const std::vector<Tensor> gradients = lists.gradients(100 * static_cast<uint64_t>(options.step));
          const std::vector<double> g = joined(gradients);
          const double t = static_cast<double>(options.step);
          for (size_t i = 0; i < p.size(); ++i) {
            const double decay = options.lr * options.weight_decay;
            const double d = options.decoupled_decay ? g[i] : g[i] + options.weight_decay * p[i];
            if (options.decoupled_decay) p[i] *= 1 - decay;
            m[i] = options.beta1 * m[i] + (1 - options.beta1) * d;
            v[i] = options.beta2 * v[i] + (1 - options.beta2) * d * d;
            const double root = std::sqrt(v[i] / (1 - std::pow(options.beta2, t)));
            p[i] -= options.lr * (m[i] / (1 - std::pow(options.beta1, t))) / (root + options.eps);
          }
          kernel::adam_update[cpu_device](lists.parameters, gradients, lists.first, lists.second, options, {});
        }
        expect_close(joined(lists.parameters), p, 8 * epsilon(dtype));
        expect_close(joined(lists.first), m, 8 * epsilon(dtype));
        expect_close(joined(lists.second), v, 8 * epsilon(dtype));
      }
    }
  });
}

}  // namespace
}  // namespace dnn
