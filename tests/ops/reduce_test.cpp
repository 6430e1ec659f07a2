// The reductions, over every pattern of dimensions.
#include "dnn/ops/reduce.h"

#include <cmath>
#include <limits>

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

// Gathers what falls on each element of the result, in row-major order of x, and gives `f` the numbers.
Array reduce(const Array& x, const ReduceOptions& options, const std::function<double(const std::vector<double>&)>& f) {
  std::vector<bool> reduced(static_cast<size_t>(x.shape.rank()), options.dims.empty());
  for (int64_t d : options.dims) reduced[static_cast<size_t>(d < 0 ? d + x.shape.rank() : d)] = true;
  const auto kept_index = [&](const Shape& index, bool keepdim, bool sizes) {
    Shape kept;
    for (int64_t d = 0; d < index.rank(); ++d) {
      const bool gone = reduced[static_cast<size_t>(d)];
      if (!gone)
        kept.push_back(index[d]);
      else if (keepdim)
        kept.push_back(sizes ? 1 : 0);
    }
    return kept;
  };
  const Shape shape = kept_index(x.shape, options.keepdim, true);
  Array order(shape);
  for (int64_t i = 0; i < order.size(); ++i) order[i] = static_cast<double>(i);
  std::vector<std::vector<double>> groups(static_cast<size_t>(order.size()));
  for_each_index(x.shape, [&](const Shape& index) {
    groups[static_cast<size_t>(order.at(kept_index(index, options.keepdim, false)))].push_back(x.at(index));
  });
  Array y(shape);
  for (int64_t i = 0; i < y.size(); ++i) y[i] = f(groups[static_cast<size_t>(i)]);
  return y;
}

double sum_of(const std::vector<double>& values) {
  double total = 0;
  for (double x : values) total += x;
  return total;
}

double mean_of(const std::vector<double>& values) { return sum_of(values) / static_cast<double>(values.size()); }

double largest(const std::vector<double>& values) {
  double best = -INFINITY;
  for (double x : values) best = x > best ? x : best;
  return best;
}

double smallest(const std::vector<double>& values) {
  double best = INFINITY;
  for (double x : values) best = x < best ? x : best;
  return best;
}

double first_largest(const std::vector<double>& values) {
  size_t best = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] > values[best]) best = i;
  return static_cast<double>(best);
}

using Reduce = Tensor (*)(const Tensor&, const ReduceOptions&);

Sample sample(Reduce f, double (*reference)(const std::vector<double>&), const Shape& shape,
              const ReduceOptions& options) {
  return {.label = shape.str() + " over " + options.dims.str() + (options.keepdim ? " kept" : ""),
          .inputs = {Input(shape)},
          .function = [=](const Args& x) { return f(x[0], options); },
          .reference = [=](const std::vector<Array>& x) { return reduce(x[0], options, reference); }};
}

Row reduction(const std::string& name, Reduce f, double (*reference)(const std::vector<double>&)) {
  Row row{.operation = name};
  for (const bool keepdim : {false, true})
    for (const Shape& dims :
         {Shape{}, Shape{0}, Shape{1}, Shape{-1}, Shape{0, 1}, Shape{1, 2}, Shape{0, 2}, Shape{2, 0}, Shape{0, 1, 2}})
      row.sample(sample(f, reference, {3, 4, 5}, {.dims = dims, .keepdim = keepdim}));
  // Images: per channel and per pixel, also in other layouts.
  for (const Shape& dims : {Shape{}, Shape{0, 2, 3}, Shape{2, 3}, Shape{1}, Shape{1, 3}})
    row.sample(sample(f, reference, {2, 16, 3, 2}, {.dims = dims}));
  row.sample(sample(f, reference, {515}, {}));
  row.sample(sample(f, reference, {2, 70, 3}, {.dims = {1}}));
  row.sample(sample(f, reference, {}, {}));
  row.sample(sample(f, reference, {1}, {.dims = {0}}));
  row.sample(sample(f, reference, {1, 1}, {.dims = {}, .keepdim = true}));
  row.sample(sample(f, reference, {0, 3}, {.dims = {1}}));
  return row;
}

DType sum_type(DType type) { return is_floating(type) ? type : DType::int64; }

Row sum_row() {
  Row row = reduction("sum", sum, sum_of);
  row.sample(sample(sum, sum_of, {0, 3}, {.dims = {0}}));
  row.sample(sample(sum, sum_of, {0}, {}));
  return row.with_integers({DType::int64, DType::int32, DType::uint8, DType::boolean}).result(sum_type);
}

Row mean_row() {
  Row row = reduction("mean", mean, mean_of);
  row.sample(sample(mean, mean_of, {0, 3}, {.dims = {0}}));  // 0 / 0
  return row;
}

Row argmax_row() {
  Row row{.operation = "argmax"};
  struct Case {
    Shape shape;
    int64_t dim;
    bool keepdim;
  };
  for (const Case& c :
       {Case{{3, 4, 5}, 0, false}, Case{{3, 4, 5}, 1, true}, Case{{3, 4, 5}, -1, false}, Case{{2, 16, 3, 2}, 1, false},
        Case{{300}, 0, false}, Case{{}, 0, false}, Case{{1}, 0, true}, Case{{0, 3}, 1, false}}) {
    const ReduceOptions options{.dims = c.shape.rank() == 0 ? Shape{} : Shape{c.dim}, .keepdim = c.keepdim};
    row.sample({.label = c.shape.str() + " over " + std::to_string(c.dim),
                .inputs = {Input(c.shape)},
                .function = [c](const Args& x) { return argmax(x[0], c.dim, c.keepdim); },
                .reference = [options](const std::vector<Array>& x) { return reduce(x[0], options, first_largest); }});
  }
  return row.with_integers().no_gradient().result([](DType) { return DType::int64; });
}

const Rows rows{
    sum_row(),
    mean_row(),
    reduction("max", max, largest).with_integers(),
    reduction("min", min, smallest).with_integers(),
    argmax_row(),
};

}  // namespace
}  // namespace dnn::test
