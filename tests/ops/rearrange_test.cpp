// Cutting, padding, turning and repeating tensors, and what Python writes in brackets.
#include <gmock/gmock.h>

#include <algorithm>

#include "dnn/ops.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {
namespace {

using ::testing::ElementsAre;

// A sample of one input whose element `index` comes from where `from` says; nowhere (no index) means `border`.
Sample moved(const std::string& label, const Shape& input, const std::function<Tensor(const Tensor&)>& f,
             const Shape& result, const std::function<std::optional<Shape>(Shape index)>& from, double border = 0) {
  return {.label = input.str() + " " + label,
          .inputs = {Input(input)},
          .function = [f](const Args& x) { return f(x[0]); },
          .reference =
              [result, from, border](const std::vector<Array>& x) {
                Array y(result);
                for_each_index(result, [&](const Shape& index) {
                  const std::optional<Shape> source = from(index);
                  y.at(index) = source ? x[0].at(*source) : border;
                });
                return y;
              }};
}

std::vector<DType> all_integers() { return {DType::int64, DType::int32, DType::uint8, DType::boolean}; }

Row moves(const std::string& name, std::vector<Sample> samples) {
  Row row{.operation = name};
  for (Sample& sample : samples) row.sample(std::move(sample));
  return row.with_integers(all_integers());
}

std::optional<Shape> same(Shape index) { return index; }

Row permute_row() {
  Row row{.operation = "permute"};
  for (const auto& [shape, order] : {std::pair<Shape, Shape>{{2, 3, 4}, {2, 0, 1}},
                                     {{2, 16, 3, 2}, {0, 2, 3, 1}},
                                     {{2, 3}, {-1, 0}},
                                     {{1}, {0}},
                                     {{}, {}},
                                     {{0, 3}, {1, 0}}}) {
    Shape result, places;
    for (int64_t d : order) places.push_back(d < 0 ? d + shape.rank() : d), result.push_back(shape.at(d));
    row.sample(moved(
        "by " + order.str(), shape, [order = order](const Tensor& x) { return permute(x, order); }, result,
        [places](const Shape& index) {
          Shape source = index;
          for (int64_t d = 0; d < index.rank(); ++d) source[places[d]] = index[d];
          return std::optional(source);
        }));
  }
  return row.with_integers(all_integers());
}

Row movedim_row() {
  return moves("movedim",
               {moved(
                    "the first behind", {2, 3, 4}, [](const Tensor& x) { return movedim(x, 0, -1); }, {3, 4, 2},
                    [](const Shape& i) {
                      return Shape{i[2], i[0], i[1]};
                    }),
                moved(
                    "channels", {2, 16, 3, 2}, [](const Tensor& x) { return movedim(x, 3, 1); }, {2, 2, 16, 3},
                    [](const Shape& i) {
                      return Shape{i[0], i[2], i[3], i[1]};
                    }),
                moved(
                    "nowhere", {1}, [](const Tensor& x) { return movedim(x, 0, 0); }, {1}, same),
                moved(
                    "nothing", {0, 2}, [](const Tensor& x) { return movedim(x, 1, 0); }, {2, 0}, same)});
}

Row broadcast_to_row() {
  return moves("broadcast_to", {moved(
                                    "rows", {3},
                                    [](const Tensor& x) {
                                      return broadcast_to(x, {2, 3});
                                    },
                                    {2, 3}, [](const Shape& i) { return Shape{i[1]}; }),
                                moved(
                                    "one", {1}, [](const Tensor& x) { return broadcast_to(x, {1}); }, {1}, same),
                                moved(
                                    "nothing", {0},
                                    [](const Tensor& x) {
                                      return broadcast_to(x, {2, 0});
                                    },
                                    {2, 0}, same)});
}

Row diagonal_row() {
  return moves("diagonal",
               {moved(
                    "", {3, 4}, [](const Tensor& x) { return diagonal(x); }, {3},
                    [](const Shape& i) {
                      return Shape{i[0], i[0]};
                    }),
                moved(
                    "above", {3, 4}, [](const Tensor& x) { return diagonal(x, 2); }, {2},
                    [](const Shape& i) {
                      return Shape{i[0], i[0] + 2};
                    }),
                moved(
                    "below", {3, 4}, [](const Tensor& x) { return diagonal(x, -1); }, {2},
                    [](const Shape& i) {
                      return Shape{i[0] + 1, i[0]};
                    }),
                moved(
                    "of images", {2, 16, 3, 2}, [](const Tensor& x) { return diagonal(x, 0, 3, 2); }, {2, 16, 2},
                    [](const Shape& i) {
                      return Shape{i[0], i[1], i[2], i[2]};
                    }),
                moved(
                    "beyond", {3, 4}, [](const Tensor& x) { return diagonal(x, 9); }, {0}, same),
                moved(
                    "one", {1, 1}, [](const Tensor& x) { return diagonal(x); }, {1},
                    [](const Shape&) {
                      return Shape{0, 0};
                    }),
                moved(
                    "nothing", {0, 3}, [](const Tensor& x) { return diagonal(x); }, {0}, same)});
}

// Parts of a dimension: every part is tested on its own.
Row parts_row(const std::string& name, const Shape& shape, int64_t dim,
              const std::function<std::vector<Tensor>(const Tensor&)>& f, const std::vector<int64_t>& sizes) {
  Row row{.operation = name};
  int64_t start = 0;
  for (size_t part = 0; part < sizes.size(); ++part) {
    Shape result = shape;
    result[dim] = sizes[part];
    row.sample(moved(
        "part " + std::to_string(part), shape,
        [f, part, count = sizes.size()](const Tensor& x) {
          const std::vector<Tensor> parts = f(x);
          return parts.size() == count ? parts[part] : Tensor();
        },
        result,
        [dim, start](Shape index) {
          index[dim] += start;
          return std::optional(index);
        }));
    start += sizes[part];
  }
  // All of them together, so that their gradients meet.
  row.sample(moved(
      "joined", shape, [f, dim](const Tensor& x) { return cat(f(x), dim); }, shape, same));
  row.sample(moved(
      "nothing", {0, 3}, [](const Tensor& x) { return split(x, 2, 0)[0]; }, {0, 3}, same));
  row.sample(moved(
      "one", {1}, [](const Tensor& x) { return chunk(x, 3, 0)[0]; }, {1}, same));
  return row.with_integers(all_integers());
}

Row unbind_row() {
  return moves("unbind", {moved(
                              "the second column", {3, 4}, [](const Tensor& x) { return unbind(x, 1)[2]; }, {3},
                              [](const Shape& i) {
                                return Shape{i[0], 2};
                              }),
                          moved(
                              "and stack", {2, 16, 3, 2}, [](const Tensor& x) { return stack(unbind(x, 1), 1); },
                              {2, 16, 3, 2}, same),
                          moved(
                              "one", {1, 1}, [](const Tensor& x) { return unbind(x)[0]; }, {1},
                              [](const Shape& i) {
                                return Shape{0, i[0]};
                              }),
                          moved(
                              "nothing", {2, 0}, [](const Tensor& x) { return unbind(x)[1]; }, {0}, same)});
}

Row stack_row() {
  Row row{.operation = "stack"};
  for (const auto& [shape, dim] : {std::pair<Shape, int64_t>{{2, 3}, 0},
                                   {{2, 3}, 1},
                                   {{2, 3}, -1},
                                   {{16, 3, 2}, 0},
                                   {{}, 0},
                                   {{1}, 0},
                                   {{0, 2}, 1}}) {
    const int64_t d = dim < 0 ? dim + shape.rank() + 1 : dim;
    row.sample({.label = shape.str() + " along " + std::to_string(dim),
                .inputs = {Input(shape), Input(shape)},
                .function = [dim = dim](const Args& x) { return stack(x.tensors, dim); },
                .reference =
                    [shape = shape, d](const std::vector<Array>& x) {
                      Array y(shape.with(d, 2));
                      for_each_index(y.shape,
                                     [&](const Shape& i) { y.at(i) = x[static_cast<size_t>(i[d])].at(i.without(d)); });
                      return y;
                    }});
  }
  return row.with_integers(all_integers());
}

Row pad_row() {
  Row row{.operation = "pad"};
  const auto with = [&](const Shape& shape, const std::vector<int64_t>& sizes, const PadOptions& options) {
    Shape before = shape, result = shape;
    for (int64_t d = 0; d < shape.rank(); ++d) {
      const auto i = static_cast<size_t>(2 * (shape.rank() - 1 - d));
      before[d] = i < sizes.size() ? sizes[i] : 0;
      result[d] += i < sizes.size() ? sizes[i] + sizes[i + 1] : 0;
    }
    const std::string mode = options.mode == PadMode::constant  ? " constant"
                             : options.mode == PadMode::reflect ? " reflected"
                                                                : " replicated";
    row.sample(moved(
        "to " + result.str() + mode, shape, [sizes, options](const Tensor& x) { return pad(x, sizes, options); },
        result,
        [shape, before, mode = options.mode](Shape index) -> std::optional<Shape> {
          for (int64_t d = 0; d < shape.rank(); ++d) {
            int64_t i = index[d] - before[d];
            if (mode == PadMode::constant && (i < 0 || i >= shape[d])) return {};
            if (mode == PadMode::reflect && i < 0) i = -i;
            if (mode == PadMode::reflect && i >= shape[d]) i = 2 * (shape[d] - 1) - i;
            index[d] = std::clamp<int64_t>(i, 0, shape[d] - 1);
          }
          return index;
        },
        options.value.to_double()));
  };
  with({2, 3}, {1, 2}, {});
  with({2, 3}, {1, 2, 0, 3}, {.value = 1});
  with({2, 3}, {-1, 2}, {.value = 1});
  with({2, 16, 3, 2}, {1, 1, 2, 0}, {});
  with({2, 3}, {-1, -1}, {});
  with({0, 3}, {0, 0, 1, 1}, {.value = 1});
  with({1}, {0, 0}, {});
  with({3, 4}, {3, 2}, {.mode = PadMode::reflect});
  with({2, 16, 3, 2}, {1, 0, 2, 2}, {.mode = PadMode::reflect});
  with({3, 4}, {5, 2}, {.mode = PadMode::replicate});
  with({2, 16, 3, 2}, {1, 0, 2, 4}, {.mode = PadMode::replicate});
  return row.with_integers(all_integers());
}

Row flip_row() {
  return moves("flip", {moved(
                            "rows", {3, 4}, [](const Tensor& x) { return flip(x, {0}); }, {3, 4},
                            [](const Shape& i) {
                              return Shape{2 - i[0], i[1]};
                            }),
                        moved(
                            "both", {3, 70},
                            [](const Tensor& x) {
                              return flip(x, {0, -1});
                            },
                            {3, 70},
                            [](const Shape& i) {
                              return Shape{2 - i[0], 69 - i[1]};
                            }),
                        moved(
                            "images", {2, 16, 3, 2}, [](const Tensor& x) { return flip(x, {3}); }, {2, 16, 3, 2},
                            [](const Shape& i) {
                              return Shape{i[0], i[1], i[2], 1 - i[3]};
                            }),
                        moved(
                            "one", {1}, [](const Tensor& x) { return flip(x, {0}); }, {1}, same),
                        moved(
                            "no dimension", {}, [](const Tensor& x) { return flip(x, {}); }, {}, same),
                        moved(
                            "nothing", {0, 2},
                            [](const Tensor& x) {
                              return flip(x, {0, 1});
                            },
                            {0, 2}, same)});
}

Row roll_row() {
  return moves("roll", {moved(
                            "on", {3, 5}, [](const Tensor& x) { return roll(x, 2, 1); }, {3, 5},
                            [](const Shape& i) {
                              return Shape{i[0], (i[1] + 3) % 5};
                            }),
                        moved(
                            "back, around", {3, 5}, [](const Tensor& x) { return roll(x, -7, 1); }, {3, 5},
                            [](const Shape& i) {
                              return Shape{i[0], (i[1] + 2) % 5};
                            }),
                        moved(
                            "one", {1}, [](const Tensor& x) { return roll(x, 4, 0); }, {1}, same),
                        moved(
                            "nothing", {0, 2}, [](const Tensor& x) { return roll(x, 1, 0); }, {0, 2}, same)});
}

Row triangle_row(const std::string& name, Tensor (*f)(const Tensor&, int64_t), bool lower) {
  Row row{.operation = name};
  for (const auto& [shape, diagonal] :
       {std::pair<Shape, int64_t>{{4, 4}, 0}, {{3, 5}, 1}, {{5, 3}, -2}, {{2, 16, 3, 2}, 0}, {{1, 1}, 0}, {{0, 3}, 0}})
    row.sample(moved(
        "from " + std::to_string(diagonal), shape, [f, diagonal = diagonal](const Tensor& x) { return f(x, diagonal); },
        shape,
        [lower, diagonal = diagonal](const Shape& i) -> std::optional<Shape> {
          const int64_t distance = i[i.rank() - 1] - i[i.rank() - 2];
          if (lower ? distance > diagonal : distance < diagonal) return {};
          return i;
        }));
  return row.with_integers(all_integers());
}

Row repeat_row(const std::string& name, Tensor (*f)(const Tensor&, const Shape&)) {
  Row row{.operation = name};
  for (const auto& [shape, counts] : {std::pair<Shape, Shape>{{2, 3}, {2, 3}},
                                      {{2, 3}, {4, 1, 2}},
                                      {{2, 16, 3, 2}, {1, 2, 1, 3}},
                                      {{3}, {0}},
                                      {{}, {2, 2}},
                                      {{1}, {5}},
                                      {{0, 2}, {2, 2}}}) {
    Shape result = counts;
    const int64_t extra = counts.rank() - shape.rank();
    for (int64_t d = 0; d < shape.rank(); ++d) result[extra + d] *= shape[d];
    row.sample(moved(
        "by " + counts.str(), shape, [f, counts = counts](const Tensor& x) { return f(x, counts); }, result,
        [shape = shape, extra](const Shape& index) {
          Shape source = shape;
          for (int64_t d = 0; d < shape.rank(); ++d) source[d] = index[extra + d] % shape[d];
          return std::optional(source);
        }));
  }
  return row.with_integers(all_integers());
}

// Every kind of index.
Row index_row() {
  return moves(
      "index",
      {moved(
           "positions", {4, 3, 2},
           [](const Tensor& x) {
             return x.index({1, -1});
           },
           {2},
           [](const Shape& i) {
             return Shape{1, 2, i[0]};
           }),
       moved(
           "slices", {4, 3, 5},
           [](const Tensor& x) {
             return x.index({Slice(1, -1), 2, Slice(0, Slice::end, 2)});
           },
           {2, 3},
           [](const Shape& i) {
             return Shape{i[0] + 1, 2, 2 * i[1]};
           }),
       moved(
           "an ellipsis and an axis", {2, 16, 3, 2},
           [](const Tensor& x) {
             return x.index({ellipsis, new_axis, 1});
           },
           {2, 16, 3, 1},
           [](const Shape& i) {
             return Shape{i[0], i[1], i[2], 1};
           }),
       moved(
           "no index", {2, 3}, [](const Tensor& x) { return x.index({}); }, {2, 3}, same),
       moved(
           "a scalar", {},
           [](const Tensor& x) {
             return x.index({new_axis, ellipsis});
           },
           {1}, [](const Shape&) { return Shape{}; }),
       moved(
           "nothing", {0, 2}, [](const Tensor& x) { return x.index({Slice(3)}); }, {0, 2}, same),
       moved(
           "indices", {4, 3, 2},
           [](const Tensor& x) {
             return x.index({Slice(), tensor({2, 0, 1, 1}, {2, 2}, {.dtype = DType::int64, .device = x.device()}), 1});
           },
           {4, 2, 2},
           [](const Shape& i) {
             return Shape{i[0], i[1] == 1 ? 1 : i[2] == 0 ? 2 : 0, 1};
           }),
       moved(
           "a mask", {2, 3, 2},
           [](const Tensor& x) {
             return x.index(
                 {ellipsis, tensor({0, 1, 1, 0, 0, 1}, {3, 2}, {.dtype = DType::boolean, .device = x.device()})});
           },
           {2, 3},
           [](const Shape& i) {
             return Shape{i[0], i[1], i[1] == 1 ? 0 : 1};
           })});
}

const Rows rows{
    permute_row(),
    movedim_row(),
    broadcast_to_row(),
    diagonal_row(),
    parts_row("split", {3, 7}, 1, [](const Tensor& x) { return split(x, 3, 1); }, {3, 3, 1}),
    parts_row("split.sizes", {2, 16, 3, 2}, 1,
              [](const Tensor& x) {
                return split(x, {4, 0, 12}, 1);
              },
              {4, 0, 12}),
    parts_row("chunk", {5, 2}, 0, [](const Tensor& x) { return chunk(x, 3); }, {2, 2, 1}),
    unbind_row(),
    stack_row(),
    pad_row(),
    flip_row(),
    roll_row(),
    triangle_row("tril", tril, true),
    triangle_row("triu", triu, false),
    repeat_row("repeat", repeat),
    repeat_row("tile", tile),
    index_row(),
};

// ---- beyond the table -----------------------------------------------------------------------------------------------

Tensor counting(const Shape& shape) {
  return arange(0, shape.numel(), 1, {.device = table_devices().front()}).reshape(shape);
}

TEST(Index, WritesThroughViews) {
  const Tensor x = counting({3, 4});
  x.index({Slice(1, 3), Slice(0, Slice::end, 2)}).fill_(-1);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(0, 1, 2, 3, -1, 5, -1, 7, -1, 9, -1, 11));
  x.index({ellipsis, 1}).copy_(tensor({50, 60, 70}).to(x.device()));
  EXPECT_THAT(x.select(1, 1).to_vector<float>(), ElementsAre(50, 60, 70));
  x.index({0}).add_(1);
  EXPECT_THAT(x.select(0, 0).to_vector<float>(), ElementsAre(1, 51, 3, 4));
}

TEST(Index, ATensorGivesACopy) {
  const Tensor x = counting({3, 2});
  x.index({tensor({2, 0}, {2}, {.dtype = DType::int64, .device = x.device()})}).fill_(9);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(Index, Refuses) {
  const Tensor x = counting({3, 2});
  const Tensor mask = zeros({2, 2}, {.dtype = DType::boolean, .device = x.device()});
  const Tensor one = zeros({1}, {.dtype = DType::int64, .device = x.device()});
  EXPECT_ERROR(x.index({0, 0, 0}), IndexError,
               "index: 3 indices for 2 dimensions, expected at most one for each (shape [3, 2])");
  EXPECT_ERROR(x.index({ellipsis, ellipsis}), ArgumentError, "index: 2 ellipses, expected at most one (shape [3, 2])");
  EXPECT_ERROR(x.index({one, one}), ArgumentError,
               "index: more than one tensor among the indices, expected at most one; gather takes an index for each "
               "element (shape [3, 2])");
  EXPECT_ERROR(x.index({mask}), IndexError,
               "index: the mask has shape [2, 2], expected the sizes from dimension 0 on of [3, 2]");
  EXPECT_ERROR(x.index({3}), IndexError,
               "select: index 3 is out of range, expected -3 <= index < 3 (dimension 0 of [3, 2])");
  EXPECT_ERROR(x.index({Tensor()}), ArgumentError, "index: a tensor is undefined, expected a tensor");
}

// The parts of a large tensor give their gradients to one and the same tensor.
TEST(Split, GradientsOfPartsMeet) {
  const Tensor x = counting({2, 6}).set_requires_grad();
  const std::vector<Tensor> parts = split(x, 2, 1);
  (sum(parts[0]) + sum(parts[2] * 3) + sum(x.slice(1, 1, 3) * 10)).backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(1, 11, 10, 0, 3, 3, 1, 11, 10, 0, 3, 3));
}

}  // namespace
}  // namespace dnn::test
