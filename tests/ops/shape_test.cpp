// Operations that move elements: free functions, and the methods of Tensor beside them.
#include "dnn/ops/shape.h"

#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

// A sample of one input whose result has a shape and takes element `index` from where `from` says.
Sample moved(const std::string& label, const Shape& input, const std::function<Tensor(const Tensor&)>& f,
             const Shape& result, const std::function<Shape(const Shape& index)>& from) {
  return {.label = input.str() + " " + label,
          .inputs = {Input(input)},
          .function = [f](const Args& x) { return f(x[0]); },
          .reference =
              [result, from](const std::vector<Array>& x) {
                Array y(result);
                for_each_index(result, [&](const Shape& index) { y.at(index) = x[0].at(from(index)); });
                return y;
              }};
}

// A sample whose result has the same elements in the same order.
Sample reshaped(const std::string& label, const Shape& input, const std::function<Tensor(const Tensor&)>& f,
                const Shape& result) {
  return {.label = input.str() + " " + label,
          .inputs = {Input(input)},
          .function = [f](const Args& x) { return f(x[0]); },
          .reference = [result](const std::vector<Array>& x) { return Array(result, x[0].values); }};
}

std::vector<DType> all_integers() { return {DType::int64, DType::int32, DType::uint8, DType::boolean}; }

Row reshape_row() {
  Row row{.operation = "reshape"};
  for (const auto& [from, wanted, to] : {std::tuple<Shape, Shape, Shape>{{3, 4}, {2, 6}, {2, 6}},
                                         {{3, 4}, {-1}, {12}},
                                         {{2, 16, 3, 2}, {2, -1, 6}, {2, 16, 6}},
                                         {{2, 16, 3, 2}, {2, 16, 3, 2}, {2, 16, 3, 2}},
                                         {{1}, {}, {}},
                                         {{}, {1, 1}, {1, 1}},
                                         {{0, 3}, {3, 0, 2}, {3, 0, 2}},
                                         {{0, 3}, {-1, 3}, {0, 3}}})
    row.sample(reshaped(
        "to " + wanted.str(), from, [wanted = wanted](const Tensor& x) { return reshape(x, wanted); }, to));
  return row.with_integers(all_integers());
}

Row flatten_row() {
  Row row{.operation = "flatten"};
  row.sample(reshaped("all but the first", {2, 16, 3, 2}, [](const Tensor& x) { return flatten(x); }, {2, 96}));
  row.sample(reshaped("all", {2, 3, 4}, [](const Tensor& x) { return flatten(x, 0); }, {24}));
  row.sample(reshaped("the middle", {2, 3, 4, 5}, [](const Tensor& x) { return flatten(x, 1, -2); }, {2, 12, 5}));
  row.sample(reshaped("one dimension", {2, 3}, [](const Tensor& x) { return flatten(x, 1, 1); }, {2, 3}));
  row.sample(reshaped("a scalar", {}, [](const Tensor& x) { return flatten(x, 0); }, {1}));
  row.sample(reshaped("nothing", {2, 0, 3}, [](const Tensor& x) { return flatten(x); }, {2, 0}));
  return row.with_integers(all_integers());
}

Row transpose_row() {
  Row row{.operation = "transpose"};
  for (const auto& [shape, a, b] : {std::tuple<Shape, int64_t, int64_t>{{3, 4}, 0, 1},
                                    {{2, 3, 4}, 0, -1},
                                    {{2, 16, 3, 2}, 1, 3},
                                    {{3, 4}, 1, 1},
                                    {{1, 1}, 0, 1},
                                    {{0, 3}, 0, 1}}) {
    Shape result = shape;
    const int64_t i = a, j = b < 0 ? b + shape.rank() : b;
    std::swap(result[i], result[j]);
    row.sample(moved(
        "dimensions " + std::to_string(a) + " and " + std::to_string(b), shape,
        [a = a, b = b](const Tensor& x) { return transpose(x, a, b); }, result,
        [i, j](Shape index) {
          std::swap(index[i], index[j]);
          return index;
        }));
  }
  return row.with_integers(all_integers());
}

Row slice_row() {
  Row row{.operation = "slice"};
  struct Case {
    Shape shape;
    int64_t dim, start, end, step;
    int64_t first, count;  // what that means
  };
  for (const Case& c :
       {Case{{5, 3}, 0, 1, 4, 1, 1, 3}, Case{{5, 3}, 1, 0, 3, 2, 0, 2}, Case{{5, 3}, 0, -2, 100, 1, 3, 2},
        Case{{5, 3}, 0, -100, -1, 3, 0, 2}, Case{{5, 3}, 0, 3, 2, 1, 3, 0}, Case{{2, 16, 4, 3}, 1, 4, 12, 1, 4, 8},
        Case{{2, 16, 4, 3}, -1, 0, 2, 1, 0, 2}, Case{{7}, 0, 2, 7, 4, 2, 2}, Case{{1}, 0, 0, 1, 1, 0, 1},
        Case{{0, 2}, 0, 0, 5, 1, 0, 0}}) {
    const int64_t d = c.dim < 0 ? c.dim + c.shape.rank() : c.dim;
    Shape result = c.shape;
    result[d] = c.count;
    row.sample(moved(
        "dimension " + std::to_string(c.dim) + " from " + std::to_string(c.start) + " to " + std::to_string(c.end) +
            " by " + std::to_string(c.step),
        c.shape, [c](const Tensor& x) { return slice(x, c.dim, c.start, c.end, c.step); }, result,
        [c, d](Shape index) {
          index[d] = c.first + c.step * index[d];
          return index;
        }));
  }
  return row.with_integers(all_integers());
}

Row select_row() {
  Row row{.operation = "select"};
  for (const auto& [shape, dim, index] : {std::tuple<Shape, int64_t, int64_t>{{4, 3}, 0, 2},
                                          {{4, 3}, 1, -1},
                                          {{2, 16, 3, 2}, 1, 5},
                                          {{2, 16, 3, 2}, 0, 1},
                                          {{1}, 0, 0},
                                          {{2, 0}, 0, 1}}) {
    const int64_t at = index < 0 ? index + shape[dim] : index;
    row.sample(moved(
        "index " + std::to_string(index) + " of dimension " + std::to_string(dim), shape,
        [dim = dim, index = index](const Tensor& x) { return select(x, dim, index); }, shape.without(dim),
        [dim = dim, at](const Shape& position) { return position.with(dim, at); }));
  }
  return row.with_integers(all_integers());
}

Row expand_row() {
  Row row{.operation = "expand"};
  for (const auto& [from, to] : {std::pair<Shape, Shape>{{3, 1}, {3, 4}},
                                 {{3, 4}, {3, 4}},
                                 {{4}, {2, 3, 4}},
                                 {{}, {2, 2}},
                                 {{1, 16, 1, 1}, {2, 16, 3, 2}},
                                 {{1}, {0}},
                                 {{1, 3}, {0, 3}},
                                 {{0, 1}, {0, 3}}})
    row.sample(moved(
        "to " + to.str(), from, [to = to](const Tensor& x) { return expand(x, to); }, to,
        [from = from](const Shape& index) {
          Shape source;
          for (int64_t d = 0; d < from.rank(); ++d)
            source.push_back(from[d] == 1 ? 0 : index[d + index.rank() - from.rank()]);
          return source;
        }));
  return row.with_integers(all_integers());
}

Row cat_row() {
  Row row{.operation = "cat"};
  struct Case {
    std::vector<Shape> shapes;
    int64_t dim;
  };
  for (const Case& c : {Case{{{2, 3}, {4, 3}}, 0}, Case{{{2, 3}, {2, 1}, {2, 2}}, -1}, Case{{{3}}, 0},
                        Case{{{2, 16, 2, 3}, {2, 16, 2, 3}}, 1}, Case{{{2, 16, 2, 3}, {2, 32, 2, 3}}, 1},
                        Case{{{2, 16, 2, 3}, {2, 16, 1, 3}}, 2}, Case{{{1, 16, 2, 3}, {2, 16, 2, 3}}, 0},
                        Case{{{2, 0, 2}, {2, 3, 2}}, 1}, Case{{{0}, {0}}, 0}, Case{{{1}, {1}}, 0}}) {
    Sample sample{.label = "", .inputs = {}, .function = {}, .reference = {}};
    const int64_t d = c.dim < 0 ? c.dim + c.shapes[0].rank() : c.dim;
    Shape result = c.shapes[0];
    result[d] = 0;
    for (const Shape& shape : c.shapes) {
      sample.label += shape.str() + " ";
      sample.inputs.push_back(Input(shape));
      result[d] += shape[d];
    }
    sample.label += "along " + std::to_string(c.dim);
    sample.function = [c](const Args& x) { return cat(x.tensors, c.dim); };
    sample.reference = [result, d](const std::vector<Array>& x) {
      Array y(result);
      for_each_index(result, [&](Shape index) {
        const Shape at = index;
        size_t part = 0;
        while (index[d] >= x[part].shape[d]) index[d] -= x[part++].shape[d];
        y.at(at) = x[part].at(index);
      });
      return y;
    };
    row.sample(sample);
  }
  return row.with_integers(all_integers()).transparent();
}

// ---- methods of Tensor without a free form
// ---------------------------------------------------------------------------

Row squeeze_row() {
  Row row{.operation = "squeeze"};
  row.sample(reshaped("the middle", {2, 1, 3}, [](const Tensor& x) { return x.squeeze(1); }, {2, 3}));
  row.sample(reshaped("the last", {2, 16, 3, 1}, [](const Tensor& x) { return x.squeeze(-1); }, {2, 16, 3}));
  row.sample(reshaped("all there is", {1}, [](const Tensor& x) { return x.squeeze(0); }, {}));
  row.sample(reshaped("nothing", {1, 0}, [](const Tensor& x) { return x.squeeze(0); }, {0}));
  return row;
}

Row unsqueeze_row() {
  Row row{.operation = "unsqueeze"};
  row.sample(reshaped("in front", {2, 16, 3, 2}, [](const Tensor& x) { return x.unsqueeze(0); }, {1, 2, 16, 3, 2}));
  row.sample(reshaped("in the middle", {2, 3}, [](const Tensor& x) { return x.unsqueeze(1); }, {2, 1, 3}));
  row.sample(reshaped("at the end", {2, 3}, [](const Tensor& x) { return x.unsqueeze(-1); }, {2, 3, 1}));
  row.sample(reshaped("a scalar", {}, [](const Tensor& x) { return x.unsqueeze(0); }, {1}));
  row.sample(reshaped("nothing", {0}, [](const Tensor& x) { return x.unsqueeze(0); }, {1, 0}));
  return row;
}

Row copies_row(const std::string& name, const std::function<Tensor(const Tensor&)>& f) {
  Row row{.operation = name};
  for (const Shape& shape : {Shape{3, 4}, Shape{2, 16, 3, 2}, Shape{131}, Shape{}, Shape{2, 0}})
    row.sample(reshaped("", shape, f, shape));
  return row.with_integers(all_integers());
}

const Rows rows{
    reshape_row(),
    flatten_row(),
    transpose_row(),
    slice_row(),
    select_row(),
    expand_row(),
    cat_row(),
    squeeze_row(),
    unsqueeze_row(),
    copies_row("clone", [](const Tensor& x) { return x.clone(); }).transparent(),
    copies_row("contiguous", [](const Tensor& x) { return x.contiguous(); }),
    copies_row("transpose.contiguous",
               [](const Tensor& x) { return x.rank() < 2 ? x : x.transpose(0, 1).contiguous().transpose(0, 1); }),
};

}  // namespace
}  // namespace dnn::test
