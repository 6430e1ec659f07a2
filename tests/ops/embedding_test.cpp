// Rows of a table.
#include "dnn/ops/embedding.h"

#include <gtest/gtest.h>

#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"
#include "tests/harness/errors.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

Row embedding_row() {
  Row row{.operation = "embedding"};
  struct Case {
    std::string label;
    Shape index;
    int64_t rows, features;
  };
  for (const Case& c : {Case{"words", {7}, 5, 3}, Case{"sentences", {3, 4}, 6, 8}, Case{"one", {1}, 1, 1},
                        Case{"a single word", {}, 4, 5}, Case{"no words", {0, 3}, 4, 5}})
    row.sample({.label = c.label,
                .inputs = {Input::integers(c.index, 0, c.rows), Input({c.rows, c.features}).parameter()},
                .function = [](const Args& x) { return embedding(x[0], x[1]); },
                .reference =
                    [=](const std::vector<Array>& x) {
                      Shape shape = c.index;
                      shape.push_back(c.features);
                      Array y(shape);
                      for (int64_t i = 0; i < y.size(); ++i)
                        y[i] = x[1](static_cast<int64_t>(x[0][i / c.features]), i % c.features);
                      return y;
                    }});
  return row.within(2, 8);
}

const Rows rows{embedding_row()};

TEST(Embedding, ThePaddingRowGetsNoGradient) {
  const Tensor index = from_values(std::vector<int64_t>{2, 0, 2, 1, 3}, {5});
  for (const int64_t padding : {2, -2}) {
    const Tensor weight = randn({4, 3}, {.requires_grad = true});
    const Tensor y = embedding(index, weight, {.padding_idx = padding});
    EXPECT_EQ(y.to_vector<float>(), embedding(index, weight).to_vector<float>()) << "padding is read as any other row";
    sum(y).backward();
    EXPECT_EQ(weight.grad().to_vector<float>(), (std::vector<float>{1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  }
}

TEST(EmbeddingErrors, AllOfThem) {
  const Tensor weight = zeros({4, 3}), index = from_values(std::vector<int64_t>{1, 4}, {2});
  EXPECT_ERROR(embedding(index, weight), IndexError, "embedding: index 4 at position 1, expected 0 <= index < 4");
  EXPECT_ERROR(embedding(index, zeros({4})), ShapeError, "embedding: weight has 1 dimensions, expected 2 (weight [4])");
  EXPECT_ERROR(embedding(zeros({2}), weight), DTypeError,
               "embedding: index is float32, expected int64 or int32 (index [2])");
  EXPECT_ERROR(embedding(index, zeros({4, 3}, {.dtype = DType::int64})), DTypeError,
               "embedding: weight is int64, expected a floating type (weight [4, 3])");
  EXPECT_ERROR(embedding(index, weight, {.padding_idx = 4}), IndexError,
               "embedding: padding_idx is 4, expected -4 <= padding_idx < 4 (weight [4, 3])");
  EXPECT_ERROR(embedding({}, weight), ArgumentError, "embedding: index is undefined, expected a tensor");
}

}  // namespace
}  // namespace dnn::test
