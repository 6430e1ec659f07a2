// Indexing, order and running sums, against the CPU's: every element type and path.
#include <gtest/gtest.h>

#include "core/kernels/all.h"
#include "tests/simt/kernel_check.h"

namespace dnn::simt::test {

using kernel::IndexShape;
using kernel::ReduceShape;

Tensor indices_below(int64_t n, const Shape& shape) {
  return uniform(shape, DType::float64, 0, static_cast<double>(n)).to(DType::int64);
}

const IndexShape index_shapes[] = {{"test", 3, 7, 5, 4, false},    {"test", 3, 7, 5, 4, true},
                                   {"test", 1, 900, 700, 1, true}, {"test", 1, 4, 2500, 1, false},
                                   {"test", 1, 3, 1500, 2, true},  {"test", 40, 5, 9, 3, false}};

TEST(GatherKernels, EveryType) {
  for (const IndexShape& s : index_shapes) {
    for (const DType type : all_types) {
      const Tensor x = uniform({s.outer, s.n, s.inner}, DType::float64, 0, 100).to(type);
      const Tensor index = indices_below(s.n, s.shared ? Shape{s.m} : Shape{s.outer, s.m, s.inner});
      const Tensor out = detail::allocate({s.outer, s.m, s.inner}, type, cpu), gpu_out = gpu_like(out);
      kernel::gather[cpu](x, index, s, out);
      kernel::gather[cuda](gpu(x), gpu(index), s, gpu_out);
      expect_same(gpu_out, out);
    }
  }
}

TEST(ScatterKernels, EveryType) {
  for (const IndexShape& s : index_shapes) {
    for (const DType type : all_types) {
      for (const auto how : {kernel::Scatter::add, kernel::Scatter::write}) {
        if (type == DType::boolean && how == kernel::Scatter::add) continue;
        const Tensor source = uniform({s.outer, s.m, s.inner}, DType::float64, 0, 3).to(type);
        const Tensor index = indices_below(s.n, s.shared ? Shape{s.m} : Shape{s.outer, s.m, s.inner});
        const Tensor out = uniform({s.outer, s.n, s.inner}, DType::float64, 0, 3).to(type), gpu_out = gpu(out);
        kernel::scatter[cpu](source, index, s, how, out);
        kernel::scatter[cuda](gpu(source), gpu(index), s, how, gpu_out);
        expect_same(gpu_out, out);  // the same additions in the same order
      }
    }
  }
}

TEST(NonzeroKernels, GiveCoordinates) {
  const Tensor mask = uniform({7, 5, 11}, DType::float64, -1, 1.5).to(DType::uint8).to(DType::boolean);
  const Tensor counts = detail::allocate({385}, DType::int64, cpu);
  kernel::cumsum[cpu](mask, {1, 385, 1}, false, counts, false);
  const Tensor out = detail::allocate({counts.data<int64_t>()[384], 3}, DType::int64, cpu), gpu_out = gpu_like(out);
  kernel::nonzero[cpu](mask, counts, out);
  kernel::nonzero[cuda](gpu(mask), gpu(counts), gpu_out);
  expect_same(gpu_out, out);
}

TEST(SortKernels, RowsOfEveryLengthAndType) {
  for (const auto& [rows, n, k] : {std::tuple<int64_t, int64_t, int64_t>{300, 1, 1},
                                   {70, 10, 10},
                                   {5, 64, 3},
                                   {3, 1000, 1000},
                                   {2, 1024, 5},
                                   {2, 3000, 3000},
                                   {1, 5000, 7}}) {
    for (const DType type : all_types) {
      Tensor x = uniform({rows, n}, DType::float64, is_floating(type) ? -20 : 0, 20).to(type);
      if (is_floating(type) && n > 8) {
        Tensor wide = x.to(DType::float64);
        for (int64_t i = 3; i < wide.numel(); i += 7) wide.data<double>()[i] = i % 2 == 0 ? NAN : 4;
        x = wide.to(type);
      }
      for (const bool descending : {false, true}) {
        const Tensor values = detail::allocate({rows, k}, type, cpu), gpu_values = gpu_like(values);
        const Tensor at = detail::allocate({rows, k}, DType::int64, cpu), gpu_at = gpu_like(at);
        kernel::sort[cpu](x, descending, values, at);
        kernel::sort[cuda](gpu(x), descending, gpu_values, gpu_at);
        expect_same(gpu_values, values);
        expect_same(gpu_at, at);
      }
    }
  }
}

TEST(CumsumKernels, RowsAndColumns) {
  for (const ReduceShape& shape : {ReduceShape{3, 7, 1}, {2, 700, 1}, {300, 5, 1}, {2, 9, 33}, {5, 300, 3}}) {
    for (const DType type : all_types) {
      const Tensor x = uniform({shape.outer, shape.n, shape.inner}, DType::float64, 0, 3).to(type);
      const DType result = is_floating(type) ? type : DType::int64;
      for (const bool flag : {false, true}) {
        const Tensor out = uniform(x.shape(), DType::float64, 0, 9).to(result), gpu_out = gpu(out);
        kernel::cumsum[cpu](x, shape, flag, out, flag);
        kernel::cumsum[cuda](gpu(x), shape, flag, gpu_out, flag);
        expect_near(gpu_out, out, 2 * unit(type));
      }
    }
  }
}

TEST(DynamicSliceKernels, EveryTypeAndAStartOutside) {
  for (const DType type : all_types) {
    const Tensor x = uniform({7, 5, 3}, DType::float64, 0, 100).to(type);
    for (const int64_t start : {0, 2, 4}) {
      const Tensor out = detail::allocate({3, 5, 3}, type, cpu), gpu_out = gpu_like(out);
      kernel::dynamic_slice[cpu](x, {[=] { return start; }}, out);
      kernel::dynamic_slice[cuda](gpu(x), {[=] { return start; }}, gpu_out);
      expect_same(gpu_out, out);
    }
    for (const int64_t start : {int64_t{-1}, int64_t{5}, INT64_MAX, INT64_MIN}) {
      const Tensor out = gpu(x.slice(0, 0, 3).contiguous());
      kernel::dynamic_slice[cuda](gpu(x), {[=] { return start; }}, out);
      EXPECT_THROW(synchronize(cuda), IndexError);
      EXPECT_EQ(out.to(cpu).to(DType::float64).sum().item(), 0) << "nothing is read there";
    }
  }
}

}  // namespace dnn::simt::test
