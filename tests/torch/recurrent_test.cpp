// Recurrent layers, interpolation and embedding against PyTorch; recurrent.py has the same cases.
#include "dnn/layers/recurrent.h"

#include "dnn/layers/embedding.h"
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

const TorchInput x = R({3, 2, 4}), state = R({4, 2, 3}, -1, 1);

// Output and final states behind each other.
Tensor everything(RecurrentLayer& layer, const Xs& xs) {
  RecurrentState initial;
  if (xs.size() > 1) initial.h = xs[1];
  if (xs.size() > 2) initial.c = xs[2];
  const RecurrentOutput y = layer(xs[0], initial);
  std::vector<Tensor> all{y.output.reshape({-1}), y.h_n.reshape({-1})};
  if (y.c_n.defined()) all.push_back(y.c_n.reshape({-1}));
  return cat(all);
}

template <class Make>
TorchCase recurrent(const std::string& name, std::vector<TorchInput> inputs, Make make) {
  return module_case<decltype(make())>(name, std::move(inputs), make,
                                       [](RecurrentLayer& layer, const Xs& xs) { return everything(layer, xs); });
}

TorchCase upsample(const std::string& name, const InterpolateOptions& options) {
  return {"upsample." + name, {R({1, 2, 5, 7})}, [options](const Xs& xs) { return interpolate(xs[0], options); }};
}

constexpr Interpolation bilinear = Interpolation::bilinear;

const TorchCases cases{
    "recurrent",
    {
        recurrent("lstm", {x}, [] { return LSTM(4, 3); }),
        recurrent("lstm.deep", {x, state, state}, [] { return LSTM(4, 3, {.layers = 2, .bidirectional = true}); }),
        recurrent("lstm.no_bias", {x},
                  [] { return LSTM(4, 3, {.layers = 2, .bias = false, .batch_first = true, .bidirectional = true}); }),
        recurrent("gru", {x}, [] { return GRU(4, 3); }),
        recurrent("gru.deep", {x, state}, [] { return GRU(4, 3, {.layers = 2, .bidirectional = true}); }),
        recurrent("gru.no_bias", {x},
                  [] { return GRU(4, 3, {.layers = 2, .bias = false, .batch_first = true, .bidirectional = true}); }),
        recurrent("rnn", {x}, [] { return RNN(4, 3); }),
        recurrent("rnn.deep", {x, state}, [] { return RNN(4, 3, {.layers = 2, .bidirectional = true}); }),
        recurrent("rnn.relu", {x},
                  [] {
                    return RNN(
                        4, 3,
                        {.layers = 2, .nonlinearity = RnnNonlinearity::relu, .bias = false, .bidirectional = true});
                  }),
        upsample("nearest", {.scale = 2}),
        upsample("nearest.size", {.size = {8, 5}}),
        upsample("nearest.fraction", {.scale = {1.7, 0.7}}),
        upsample("bilinear", {.scale = 2, .mode = bilinear}),
        upsample("bilinear.size", {.size = {8, 5}, .mode = bilinear}),
        upsample("bilinear.fraction", {.scale = {1.7, 0.7}, .mode = bilinear}),
        upsample("bilinear.corners", {.size = {8, 5}, .mode = bilinear, .align_corners = true}),
        layer_case("embedding", {I({2, 4}, 0, 6)}, [] { return Embedding(6, 3); }),
        layer_case("embedding.padding", {I({2, 4}, 0, 6)}, [] { return Embedding(6, 3, {.padding_idx = 2}); }),
    }};

}  // namespace
}  // namespace dnn::test
