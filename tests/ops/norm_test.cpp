// Batch normalisation.
#include "dnn/ops/norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dnn/ops.h"
#include "tests/harness/activation.h"
#include "tests/harness/op_row.h"

namespace dnn::test {
namespace {

struct Case {
  std::string label;
  Shape input;
  BatchNormOptions options = {};
  bool add = false;
  bool running = true;
};

enum class Result { output, running_mean, running_var };

// Inputs: x, weight, bias, running mean, running variance (of which only x in training without them), add.
Array reference(const Case& c, Result wanted, const std::vector<Array>& inputs) {
  const Array& x = inputs[0];
  const int64_t channels = c.input[1];
  const auto channel_values = [&](int64_t channel) {
    std::vector<double> values;
    for_each_index(c.input, [&](const Shape& at) {
      if (at[1] == channel) values.push_back(x.at(at));
    });
    return values;
  };
  std::vector<double> mean, variance;
  Array running_mean = inputs[3], running_var = inputs[4];
  for (int64_t channel = 0; channel < channels; ++channel) {
    if (!c.options.training) {
      mean.push_back(running_mean[channel]), variance.push_back(running_var[channel]);
      continue;
    }
    const std::vector<double> values = channel_values(channel);
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (double value : values) sum += value;
    for (double value : values) squares += (value - sum / count) * (value - sum / count);
    mean.push_back(sum / count), variance.push_back(squares / count);
    const double m = c.options.momentum;
    running_mean[channel] = (1 - m) * running_mean[channel] + m * sum / count;
    running_var[channel] = (1 - m) * running_var[channel] + m * squares / (count - 1);
  }
  if (wanted == Result::running_mean) return running_mean;
  if (wanted == Result::running_var) return running_var;
  Array y(c.input);
  for_each_index(c.input, [&](const Shape& at) {
    const auto channel = static_cast<size_t>(at[1]);
    double value =
        (x.at(at) - mean[channel]) / std::sqrt(variance[channel] + c.options.eps) * inputs[1](at[1]) + inputs[2](at[1]);
    if (c.add) value += inputs[5].at(at);
    y.at(at) = activated(value, c.options.activation);
  });
  return y;
}

Sample sample(const Case& c, Result wanted = Result::output) {
  const Shape channels{c.input[1]};
  // The running statistics are inputs too, of which the operation gets copies: in training it changes them.
  std::vector<Input> inputs{Input(c.input, -2, 3), Input(channels, 0.5, 2).wide(), Input(channels).wide(),
                            Input(channels).wide().constant(), Input(channels, 0.5, 2).wide().constant()};
  if (c.add) inputs.push_back(Input(c.input));
  return {.label = c.label,
          .inputs = inputs,
          .function =
              [=](const Args& x) {
                BatchNormOptions options = c.options;
                if (c.add) options.add = x[5];
                const Tensor mean = c.running ? x[3].clone() : Tensor(), var = c.running ? x[4].clone() : Tensor();
                const Tensor y = batch_norm(x[0], x[1].contiguous(), x[2].contiguous(), mean, var, options);
                return wanted == Result::output ? y : wanted == Result::running_mean ? mean : var;
              },
          .reference = [=](const std::vector<Array>& x) { return reference(c, wanted, x); }};
}

Row batch_norm_row() {
  Row row{.operation = "batch_norm"};
  for (const Case& c : {
           Case{"training", {3, 4, 2, 3}},
           Case{"training, rows", {6, 5}},
           Case{"training, relu", {3, 4, 2, 3}, {.activation = Activation::relu}},
           Case{"training, add and relu", {3, 4, 2, 3}, {.activation = Activation::relu}, true},
           Case{"training, add and gelu", {3, 4, 2, 3}, {.activation = Activation::gelu_tanh}, true},
           Case{"training, add", {3, 4, 2, 3}, {}, true},
           Case{"training, rows, add and relu", {6, 5}, {.activation = Activation::relu}, true},
           Case{"training without running statistics", {3, 4, 2, 3}, {.eps = 1e-3}, false, false},
           Case{"training, sixteen channels", {2, 16, 3, 3}},
           Case{"training, sixteen channels, relu", {2, 16, 3, 3}, {.activation = Activation::relu}},
           Case{"training, sixteen channels, add and relu", {2, 16, 3, 3}, {.activation = Activation::relu}, true},
           Case{"inference", {3, 4, 2, 3}, {.training = false}},
           Case{"inference, rows", {3, 4}, {.training = false}},
           Case{"inference, relu", {3, 4, 2, 3}, {.training = false, .activation = Activation::relu}},
           Case{"inference, add and relu", {2, 16, 2, 3}, {.training = false, .activation = Activation::relu}, true},
           Case{"inference, rows, gelu", {3, 4}, {.training = false, .activation = Activation::gelu_tanh}},
           Case{"inference, one element", {1, 1, 1, 1}, {.training = false}},
           Case{"inference, no images", {0, 3, 2, 2}, {.training = false}},
           Case{"inference, no images, add and relu",
                {0, 3, 2, 2},
                {.training = false, .activation = Activation::relu},
                true},
       })
    row.sample(sample(c));
  return row.transparent().within(8, 32).without("expanded",
                                                 "a batch that repeats one sample has no variance to divide by");
}

// The running statistics, which training changes in place.
Row running_row() {
  Row row{.operation = "batch_norm.running"};
  for (const Case& c : {Case{"images", {3, 4, 2, 3}}, Case{"rows", {6, 5}, {.momentum = 0.3}},
                        Case{"all of the batch", {2, 16, 3, 3}, {.momentum = 1}}}) {
    Sample mean = sample(c, Result::running_mean), variance = sample(c, Result::running_var);
    mean.label += ", mean", variance.label += ", variance";
    row.sample(mean).sample(variance);
  }
  return row.no_gradient()
      .within(4, 4)
      .result([](DType type) { return type == DType::float64 ? type : DType::float32; })
      .never_empty("training needs two values per channel")
      .never_single("training needs two values per channel");
}

// The memory of an input that is moved in is used for the result where nobody sees it.
TEST(BatchNorm, OverwritesAnInputThatNobodyNeeds) {
  const Tensor weight = rand({32}), bias = rand({32}), mean = rand({32}), var = rand({32});
  const Tensor x = randn({2, 32, 3, 3});
  const BatchNormOptions evaluation{.training = false};
  const Tensor expected = batch_norm(x, weight, bias, mean, var, evaluation);
  const auto same = [&](const Tensor& y) { return max(abs(y - expected)).item() == 0; };

  Tensor alone = x.clone();
  const float* const memory = alone.data<float>();
  const Tensor y = batch_norm(std::move(alone), weight, bias, mean, var, evaluation);
  EXPECT_TRUE(same(y));
  EXPECT_EQ(y.data<float>(), memory);

  Tensor copied = x.clone(), viewed = x.clone(), recorded = x.clone();
  const Tensor copy = copied, view = viewed.reshape({-1});
  EXPECT_TRUE(same(batch_norm(std::move(copied), weight, bias, mean, var, evaluation)));
  EXPECT_TRUE(same(batch_norm(std::move(viewed), weight, bias, mean, var, evaluation)));
  EXPECT_TRUE(same(batch_norm(copy, weight, bias, mean, var, evaluation)));
  recorded.set_requires_grad();
  batch_norm(std::move(recorded), weight, bias, mean, var, evaluation).sum().backward();
  Tensor training = x.clone();
  const float* const trained = training.data<float>();
  EXPECT_NE(batch_norm(std::move(training), weight, bias, {}, {}, {.training = true}).data<float>(), trained);
}

const Rows rows{batch_norm_row(), running_row()};

}  // namespace
}  // namespace dnn::test
