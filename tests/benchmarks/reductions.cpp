// Sums and their like over everything, over rows and over columns.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

template <class Reduce>
Make over(const Inputs& inputs, const Shape& dims, Reduce reduce) {
  return of(inputs, [=](T t) { return reduce(t[0], ReduceOptions{.dims = dims}); });
}

// Over all elements of a vector, over the rows of a matrix, and over its columns.
using Reduction = Tensor (*)(const Tensor&, const ReduceOptions&);
void add_three(std::vector<Row>& rows, const std::string& name, Reduction reduce) {
  rows.push_back({name, over(vectors(), {}, reduce)});
  rows.push_back({name + "_of_rows", over(matrices(1024), {1}, reduce)});
  rows.push_back({name + "_of_columns", over(matrices(1024), {0}, reduce)});
}

}  // namespace

Family reductions() {
  Family family{
      "reduce",
      elements,
      {
          {"sum_of_channels", over(images(64, 28), {0, 2, 3}, sum)},
          {"mean_of_images", over(images(64, 28), {2, 3}, mean)},
          {"norm", of(vectors(), [](T t) { return norm(t[0]); })},
          {"var_of_rows", of(matrices(1024), [](T t) { return var(t[0], {.dims = {1}}); })},
          {"argmax_of_rows", of(matrices(1024), [](T t) { return argmax(t[0], 1); }), Passes::forward},
          {"cumsum_of_rows", of(matrices(1024), [](T t) { return cumsum(t[0], 1); })},
      },
  };
  add_three(family.rows, "sum", sum);
  add_three(family.rows, "max", max);
  add_three(family.rows, "logsumexp", logsumexp);
  add_three(family.rows, "prod", prod);
  return family;
}

}  // namespace dnn::bench
