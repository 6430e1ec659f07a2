// Recurrent layers: against the operations, in a Sequential, and learning.
#include "dnn/layers/recurrent.h"

#include <gtest/gtest.h>

#include <numeric>

#include "dnn/data/synthetic.h"
#include "dnn/optim.h"
#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

TEST(RecurrentLayers, ComputeWhatTheOperationsDo) {
  check_layer(LSTM(3, 4), {5, 2, 3}, [](LSTM& l, const Tensor& x) { return lstm(x, l.weights()).output; });
  check_layer(GRU(3, 4, {.bias = false, .batch_first = true, .bidirectional = true}), {2, 5, 3},
              [](GRU& l, const Tensor& x) {
                return gru(x, l.weights(), {}, {.batch_first = true, .bidirectional = true}).output;
              });
  check_layer(
      RNN(3, 4, {.layers = 2, .nonlinearity = RnnNonlinearity::relu, .dropout = 0.5}), {5, 2, 3},
      [](RNN& l, const Tensor& x) {
        return rnn(x, l.weights(), {}, {.dropout = 0.5, .training = l.training()}, RnnNonlinearity::relu).output;
      });
  check_layer(LSTM(3, 4, {.layers = 2, .bidirectional = true, .return_sequences = false}), {5, 2, 3},
              [](LSTM& l, const Tensor& x) {
                const Tensor h_n = lstm(x, l.weights(), {}, {.bidirectional = true}).h_n;
                return cat({h_n[2], h_n[3]}, 1);
              });
}

TEST(RecurrentLayers, GiveOutputAndStates) {
  LSTM net(3, 4, {.layers = 2});
  const Tensor x = numbers({5, 2, 3}), h = numbers({2, 2, 4}), c = numbers({2, 2, 4});
  const RecurrentOutput result = net(x, {.h = h, .c = c}), expected = lstm(x, net.weights(), {.h = h, .c = c});
  expect_same(result.output, expected.output, "output");
  expect_same(result.h_n, expected.h_n, "h_n");
  expect_same(result.c_n, expected.c_n, "c_n");
  EXPECT_EQ(result.output.shape(), Shape({5, 2, 4}));
  EXPECT_EQ(result.c_n.shape(), Shape({2, 2, 4}));
  EXPECT_FALSE(GRU(3, 4)(x).c_n.defined());
}

TEST(RecurrentLayers, NameTheirParametersAsPyTorchDoes) {
  std::vector<std::string> names;
  LSTM net(3, 4, {.layers = 2, .bidirectional = true});
  for (const auto& [name, tensor] : net.named_parameters()) names.push_back(name + " " + tensor.shape().str());
  EXPECT_EQ(names, (std::vector<std::string>{
                       "weight_ih_l0 [16, 3]", "weight_hh_l0 [16, 4]", "bias_ih_l0 [16]", "bias_hh_l0 [16]",
                       "weight_ih_l0_reverse [16, 3]", "weight_hh_l0_reverse [16, 4]", "bias_ih_l0_reverse [16]",
                       "bias_hh_l0_reverse [16]", "weight_ih_l1 [16, 8]", "weight_hh_l1 [16, 4]", "bias_ih_l1 [16]",
                       "bias_hh_l1 [16]", "weight_ih_l1_reverse [16, 8]", "weight_hh_l1_reverse [16, 4]",
                       "bias_ih_l1_reverse [16]", "bias_hh_l1_reverse [16]"}));
  EXPECT_EQ(GRU(3, 4, {.bias = false}).named_parameters().size(), 2u);
  for (const Tensor& parameter : LSTM(3, 25).parameters())
    for (const double value : values(parameter)) ASSERT_LE(std::abs(value), 0.2);
}

TEST(RecurrentLayers, DescribeThemselves) {
  EXPECT_EQ(LSTM(3, 4).str(), "LSTM(3, 4)");
  EXPECT_EQ(GRU(3, 4,
                {.layers = 2,
                 .bias = false,
                 .batch_first = true,
                 .dropout = 0.5,
                 .bidirectional = true,
                 .return_sequences = false})
                .str(),
            "GRU(3, 4, layers=2, bias=false, batch_first=true, dropout=0.5, bidirectional=true, "
            "return_sequences=false)");
  EXPECT_EQ(RNN(3, 4, {.nonlinearity = RnnNonlinearity::relu}).str(), "RNN(3, 4, nonlinearity=relu)");
}

TEST(RecurrentLayers, RefuseBadOptionsAndInputs) {
  EXPECT_ERROR(LSTM(0, 4), ArgumentError, "LSTM: input_size is 0 and hidden_size is 4, expected both at least 1");
  EXPECT_ERROR(GRU(3, 4, {.layers = 0}), ArgumentError, "GRU: layers is 0, expected at least 1");
  EXPECT_ERROR(RNN(3, 4, {.dropout = -0.5}), ArgumentError, "RNN: dropout is -0.5, expected a probability in [0, 1]");
  LSTM net(3, 4);
  EXPECT_ERROR(net(numbers({5, 2, 7})), ShapeError,
               "lstm: input has 7 features, weight_ih expects 3 (input [5, 2, 7], weight_ih [16, 3])");
  EXPECT_ERROR(net(numbers({5, 2, 3}), {.h = numbers({1, 3, 4})}), ShapeError,
               "lstm: h has shape [1, 3, 4], expected [layers * directions, n, hidden] = [1, 2, 4] (input [5, 2, 3])");
}

TEST(RecurrentLayers, StandInASummary) {
  Sequential net(LSTM(28, 64, {.layers = 2, .batch_first = true, .return_sequences = false}), Linear(64, 10));
  const Summary result = summary(net, {7, 28});
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0].type, "LSTM");
  EXPECT_EQ(result.rows[0].output, Shape({1, 64}));
  EXPECT_EQ(result.rows[0].parameters, 4 * 64 * (28 + 64 + 2) + 4 * 64 * (64 + 64 + 2));
  EXPECT_EQ(result.rows[0].macs, 7 * (4 * 64 * (28 + 64) + 4 * 64 * (64 + 64)));
  GRU both(3, 5, {.bidirectional = true});
  EXPECT_EQ(summary(both, {2, 3}).macs, 2 * 2 * (15 * 3 + 15 * 5));
  EXPECT_EQ(summary(both, {2, 3}).rows[0].output, Shape({1, 2, 10}));
}

// A called layer is seen by hooks also where its own call operator is used.
class Tagger : public Layer {
 public:
  GRU gru{4, 6, {.batch_first = true}};
  Linear head{6, 3};
  DNN_MODULE(gru, head)
  Tensor forward(Tensor x) override { return head(gru(x).output); }
};

TEST(RecurrentLayers, AreSeenInsideOfALayer) {
  Tagger net;
  const Summary result = summary(net, {5, 4});
  EXPECT_EQ(result.rows[0].output, Shape({1, 5, 6}));
  EXPECT_ERROR(net(numbers({2, 5, 3})), ShapeError,
               "gru (GRU): gru: input has 3 features, weight_ih expects 4 (input [2, 5, 3], weight_ih [18, 4])");
}

// An image is a sequence of its rows.
TEST(RecurrentLayers, LearnDigitsRowByRow) {
  manual_seed(1);
  Sequential net(LSTM(28, 32, {.batch_first = true, .return_sequences = false}), Linear(32, 10));
  Adam adam(net.parameters(), {.lr = 0.01});
  const SyntheticDigits digits(600);
  std::vector<int64_t> indices(600);
  std::iota(indices.begin(), indices.end(), 0);
  const Batch all = digits.batch(indices);
  const Tensor images = all.input.squeeze(1);
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    const int64_t begin = step % 12 * 50;
    adam.zero_grad();
    const Tensor loss = cross_entropy(net(images.slice(0, begin, begin + 50)), all.target.slice(0, begin, begin + 50));
    loss.backward();
    clip_grad_norm_(net.parameters(), 1);
    adam.step();
    if (step == 0) first = loss.item();
    last = loss.item();
  }
  EXPECT_LT(last, 0.5 * first);
}

}  // namespace
}  // namespace dnn::test
