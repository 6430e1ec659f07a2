// Reading and writing at indices and masks.
#include "dnn/ops/index.h"

#include <gmock/gmock.h>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops/factory.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

std::vector<DType> all_integers() { return {DType::int64, DType::int32, DType::uint8, DType::boolean}; }

int64_t at(const Array& x, const Shape& index) { return static_cast<int64_t>(x.at(index)); }

// What the cases of indices have in common.
struct Case {
  Shape shape;
  int64_t dim;
  Shape index;  // of integers below shape[dim]
  int64_t d() const { return dim < 0 ? dim + shape.rank() : dim; }
  int64_t n() const { return shape.rank() == 0 ? 1 : shape[d()]; }
  std::string label() const { return index.str() + " of " + shape.str() + " along " + std::to_string(dim); }
};

Row index_select_row() {
  Row row{.operation = "index_select"};
  for (const Case& c : {Case{{4, 3}, 0, {6}}, Case{{4, 3}, 1, {2}}, Case{{2, 16, 3, 2}, 1, {16}},
                        Case{{2, 3, 5}, -1, {7}}, Case{{2, 3, 5}, 1, {1}}, Case{{9, 70}, 0, {30}}, Case{{131}, 0, {40}},
                        Case{{1}, 0, {1}}, Case{{3, 2}, 0, {0}}, Case{{2, 0}, 0, {3}}}) {
    Shape result = c.shape;
    result[c.d()] = c.index[0];
    row.sample({.label = c.label(),
                .inputs = {Input(c.shape), Input::integers(c.index, 0, c.n())},
                .function = [c](const Args& x) { return index_select(x[0], c.dim, x[1]); },
                .reference =
                    [c, result](const std::vector<Array>& x) {
                      Array y(result);
                      for_each_index(result, [&](Shape index) {
                        const Shape to = index;
                        index[c.d()] = static_cast<int64_t>(x[1][index[c.d()]]);
                        y.at(to) = x[0].at(index);
                      });
                      return y;
                    }});
  }
  return row.with_integers(all_integers()).within(2, 16);
}

const Case gather_cases[] = {{{4, 3}, 0, {4, 3}},
                             {{4, 3}, 1, {4, 5}},
                             {{4, 3}, 0, {7, 2}},
                             {{2, 16, 3, 2}, 1, {2, 9, 3, 2}},
                             {{2, 3, 5}, -1, {1, 2, 4}},
                             {{2, 70, 3}, 1, {2, 90, 3}},
                             {{131}, 0, {40}},
                             {{}, 0, {}},
                             {{1}, 0, {1}},
                             {{3, 2}, 0, {0, 2}},
                             {{3, 0}, 0, {2, 0}}};

Row gather_row() {
  Row row{.operation = "gather"};
  for (const Case& c : gather_cases)
    row.sample({.label = c.label(),
                .inputs = {Input(c.shape), Input::integers(c.index, 0, c.n())},
                .function = [c](const Args& x) { return gather(x[0], c.dim, x[1]); },
                .reference =
                    [c](const std::vector<Array>& x) {
                      Array y(c.index);
                      for_each_index(c.index, [&](Shape index) {
                        const Shape to = index;
                        if (index.rank() > 0) index[c.d()] = at(x[1], to);
                        y.at(to) = x[0].at(index);
                      });
                      return y;
                    }});
  return row.with_integers(all_integers()).within(2, 16);
}

Row take_row() {
  Row row{.operation = "take"};
  for (const Case& c : {Case{{4, 3}, 0, {2, 5}}, Case{{2, 16, 3, 2}, 0, {7}}, Case{{}, 0, {2}}, Case{{3}, 0, {0}}})
    row.sample({.label = c.label(),
                .inputs = {Input(c.shape), Input::integers(c.index, 0, c.shape.numel())},
                .function = [](const Args& x) { return take(x[0], x[1]); },
                .reference =
                    [](const std::vector<Array>& x) {
                      return map(x[1], [&](double i) { return x[0][static_cast<int64_t>(i)]; });
                    }});
  return row.with_integers(all_integers());
}

// The scatters: the reference walks the index in row-major order.
Row scatter_row(const std::string& name, const std::function<Tensor(const Args&, int64_t dim)>& f, bool adds) {
  Row row{.operation = name};
  for (const Case& c : gather_cases) {
    // Where elements are written, each has one source at most: only then is there a gradient.
    Input index = Input::integers(c.index, 0, c.n());
    const int64_t m = c.index.rank() == 0 ? 1 : c.index[c.d()];
    if (!adds && m > c.n()) continue;
    if (!adds) {
      std::vector<double> turned;
      for_each_index(c.index, [&](const Shape& to) {
        const int64_t step = to.rank() == 0 ? 0 : to[c.d()];
        turned.push_back(static_cast<double>((2 + c.n() - step) % c.n()));
      });
      if (!turned.empty()) index = Input::of(c.index, turned).typed(DType::int64);
    }
    Shape source = c.index;
    if (source.rank() > 0 && source[0] > 0) ++source[0];  // more than is used
    row.sample({.label = c.label(),
                .inputs = {Input(c.shape), index, Input(source)},
                .function = [c, f](const Args& x) { return f(x, c.dim); },
                .reference =
                    [c, adds](const std::vector<Array>& x) {
                      Array y = x[0];
                      for_each_index(c.index, [&](const Shape& from) {
                        Shape to = from;
                        if (to.rank() > 0) to[c.d()] = at(x[1], from);
                        y.at(to) = (adds ? y.at(to) : 0) + x[2].at(from);
                      });
                      return y;
                    }});
  }
  return row;
}

Row scatter_add_row() {
  return scatter_row(
             "scatter_add", [](const Args& x, int64_t dim) { return scatter_add(x[0], dim, x[1], x[2]); }, true)
      .with_integers()
      .within(8, 8);
}

Row scatter_add_in_place_row() {
  return scatter_row(
             "scatter_add_",
             [](const Args& x, int64_t dim) {
               const NoGrad no_grad;
               Tensor y = x[0].clone();
               scatter_add_(y, dim, x[1], x[2]);
               return y;
             },
             true)
      .with_integers()
      .within(8, 8)
      .no_gradient();
}

Row scatter_write_row() {
  return scatter_row(
             "scatter", [](const Args& x, int64_t dim) { return scatter(x[0], dim, x[1], x[2]); }, false)
      .with_integers(all_integers());
}

Row scatter_in_place_row() {
  return scatter_row(
             "scatter_",
             [](const Args& x, int64_t dim) {
               const NoGrad no_grad;
               Tensor y = x[0].clone();
               scatter_(y, dim, x[1], x[2]);
               return y;
             },
             false)
      .with_integers(all_integers())
      .no_gradient();
}

Row index_add_row() {
  Row row{.operation = "index_add"};
  for (const Case& c : {Case{{4, 3}, 0, {6}}, Case{{4, 3}, 1, {2}}, Case{{2, 16, 3, 2}, 1, {20}},
                        Case{{9, 70}, 0, {20}}, Case{{1}, 0, {1}}, Case{{3, 2}, 0, {0}}, Case{{2, 0}, 0, {3}}}) {
    Shape source = c.shape;
    source[c.d()] = c.index[0];
    row.sample({.label = c.label(),
                .inputs = {Input(c.shape), Input::integers(c.index, 0, c.n()), Input(source)},
                .function = [c](const Args& x) { return index_add(x[0], c.dim, x[1], x[2], 3); },
                .reference =
                    [c, source](const std::vector<Array>& x) {
                      Array y = x[0];
                      for_each_index(source, [&](const Shape& from) {
                        Shape to = from;
                        to[c.d()] = static_cast<int64_t>(x[1][from[c.d()]]);
                        y.at(to) += 3 * x[2].at(from);
                      });
                      return y;
                    }});
  }
  return row.with_integers().within(16, 8);
}

Row dynamic_slice_row() {
  Row row{.operation = "dynamic_slice"};
  for (const auto& [shape, start, size] : {std::tuple<Shape, int64_t, int64_t>{{5}, 1, 3},
                                           {{4, 3, 2}, 0, 4},
                                           {{4, 3}, 3, 1},
                                           {{1}, 0, 1},
                                           {{4, 3}, 4, 0},
                                           {{3, 0}, 1, 2}})
    row.sample({.label = std::to_string(size) + " from " + std::to_string(start) + " of " + shape.str(),
                .inputs = {Input(shape)},
                .function =
                    [start = start, size = size](const Args& x) {
                      return dynamic_slice(
                          x[0], [=] { return start; }, size);
                    },
                .reference =
                    [start = start, size = size](const std::vector<Array>& x) {
                      Shape shape = x[0].shape;
                      shape[0] = size;
                      Array y(shape);
                      for_each_index(shape, [&](const Shape& to) {
                        Shape from = to;
                        from[0] += start;
                        y.at(to) = x[0].at(from);
                      });
                      return y;
                    }});
  return row.with_integers(all_integers()).no_gradient();
}

Row nonzero_row() {
  Row row{.operation = "nonzero"};
  for (const auto& [shape, values] : {std::pair<Shape, std::vector<double>>{{2, 3}, {0, 2, 0, -1, 1, 0}},
                                      {{4}, {0, 0, 0, 0}},
                                      {{1}, {3}},
                                      {{2, 2, 2}, {1, 1, 0, 0, 1, 0, 0, 1}},
                                      {{0}, {}}})
    row.sample({.label = shape.str(),
                .inputs = {values.empty() ? Input(shape) : Input::of(shape, values)},
                .function = [](const Args& x) { return nonzero(x[0]); },
                .reference =
                    [shape = shape](const std::vector<Array>& x) {
                      std::vector<double> found;
                      for_each_index(shape, [&](const Shape& index) {
                        if (x[0].at(index) != 0) found.insert(found.end(), index.begin(), index.end());
                      });
                      return Array({static_cast<int64_t>(found.size()) / shape.rank(), shape.rank()}, found);
                    }});
  return row.with_integers(all_integers())
      .no_gradient()
      .result([](DType) { return DType::int64; })
      .without("expanded", "the reference would count the repeated entries of another input");
}

Row masked_select_row() {
  Row row{.operation = "masked_select"};
  const auto sample = [&](const Shape& shape, const Shape& mask, std::vector<double> set) {
    row.sample({.label = mask.str() + " of " + shape.str(),
                .inputs = {Input(shape), (set.empty() ? Input(mask) : Input::of(mask, set)).typed(DType::boolean)},
                .function = [](const Args& x) { return masked_select(x[0], x[1]); },
                .reference =
                    [](const std::vector<Array>& x) {
                      const Array all = map(x[0], x[1], [](double a, double) { return a; });
                      const Array chosen = map(all, x[1], [](double, double b) { return b; });
                      std::vector<double> found;
                      for (int64_t i = 0; i < all.size(); ++i)
                        if (chosen[i] != 0) found.push_back(all[i]);
                      return Array({static_cast<int64_t>(found.size())}, found);
                    }});
  };
  sample({2, 3}, {2, 3}, {0, 1, 1, 0, 1, 0});
  sample({2, 16, 3, 2}, {3, 2}, {0, 1, 1, 0, 1, 0});
  sample({3}, {2, 1}, {1, 0});
  sample({1}, {1}, {1});
  sample({3}, {3}, {0, 0, 0});
  sample({0}, {0}, {});
  return row.with_integers(all_integers()).without("expanded", "the number of elements would change with the mask");
}

const Rows rows{
    index_select_row(),  gather_row(),           take_row(),      scatter_add_row(),   scatter_add_in_place_row(),
    scatter_write_row(), scatter_in_place_row(), index_add_row(), dynamic_slice_row(), nonzero_row(),
    masked_select_row()};

// ---- beyond the table -----------------------------------------------------------------------------------------------

Device device() { return table_devices().front(); }

Tensor indices(std::initializer_list<double> values, const Shape& shape) {
  return tensor(values, shape, {.dtype = DType::int64, .device = device()});
}

TEST(Indexing, ScatterOfANumberMakesOneHotRows) {
  const Tensor y = zeros({3, 4}, {.device = device()});
  scatter_(y, 1, indices({2, 0, 3}, {3, 1}), 1);
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1));
}

TEST(Indexing, TheLastSourceIsWritten) {
  const Tensor y = zeros({3}, {.device = device()});
  scatter_(y, 0, indices({1, 1, 0, 1}, {4}), tensor({5, 6, 7, 8}, {4}, {.device = device()}));
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(7, 8, 0));
}

TEST(Indexing, WritesThroughViewsAndFromItself) {
  const Tensor whole = arange(0, 6, 1, {.device = device()}).reshape({2, 3});
  scatter_add_(whole.transpose(0, 1).slice(0, 1, 3), 0, indices({1, 1, 0, 1}, {2, 2}), ones({2, 2}, whole.options()));
  EXPECT_THAT(whole.to_vector<float>(), ::testing::ElementsAre(0, 2, 3, 3, 4, 7));
  const Tensor row = arange(0, 4, 1, {.device = device()});
  scatter_(row, 0, indices({3, 2, 1, 0}, {4}), row);
  EXPECT_THAT(row.to_vector<float>(), ::testing::ElementsAre(3, 2, 1, 0));
}

TEST(Indexing, NarrowIndicesServeAsWell) {
  const Tensor x = arange(0, 4, 1, {.device = device()});
  EXPECT_THAT(index_select(x, 0, indices({3, 1}, {2}).to(DType::int32)).to_vector<float>(),
              ::testing::ElementsAre(3, 1));
}

// Many additions to few elements, and to one row of a table.
TEST(Indexing, LongRunsAddUp) {
  const int64_t n = many(200000);
  const Tensor index = zeros({n}, {.dtype = DType::int64, .device = device()});
  const Tensor total = scatter_add(zeros({2}, {.device = device()}), 0, index, ones({n}, {.device = device()}));
  EXPECT_EQ(total[0].item(), static_cast<double>(n));
  const Tensor table = index_add(zeros({3, 5}, {.device = device()}), 0, index, ones({n, 5}, {.device = device()}));
  EXPECT_EQ(table[0][4].item(), static_cast<double>(n));
  EXPECT_EQ(table.select(0, 1).sum().item(), 0);
}

TEST(Indexing, ABadIndexIsReportedWithTheFacts) {
  const Tensor x = zeros({2, 3}, {.device = device()});
  EXPECT_ERROR(index_select(x, 1, indices({0, 3}, {2})).sum().item(), IndexError,
               "index_select: index 3 at position 1, expected 0 <= index < 3");
  EXPECT_ERROR(gather(x, 0, indices({0, 1, -1}, {1, 3})).sum().item(), IndexError,
               "gather: index -1 at position 2, expected 0 <= index < 2");
  for (const int64_t start : {-1, 2})
    EXPECT_ERROR(dynamic_slice(
                     x, [=] { return start; }, 1)
                     .sum()
                     .item(),
                 IndexError,
                 "dynamic_slice: start " + std::to_string(start) + " at position 0, expected 0 <= start < 2");
  EXPECT_ERROR(take(x, indices({6}, {1})).item(), IndexError, "take: index 6 at position 0, expected 0 <= index < 6");
  EXPECT_ERROR(scatter_add(x, 0, indices({0, 2}, {1, 2}), ones({1, 2}, {.device = device()})).sum().item(), IndexError,
               "scatter_add: index 2 at position 1, expected 0 <= index < 2");
  EXPECT_ERROR((scatter_(x, 0, indices({0, 2}, {1, 2}), 1), x.sum().item()), IndexError,
               "scatter_: index 2 at position 1, expected 0 <= index < 2");
  EXPECT_ERROR(index_add(x, 0, indices({5}, {1}), ones({1, 3}, {.device = device()})).sum().item(), IndexError,
               "index_add: index 5 at position 0, expected 0 <= index < 2");
}

}  // namespace
}  // namespace dnn::test
