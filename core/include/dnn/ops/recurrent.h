// Recurrent networks: sequences in, sequences and final states out.
#pragma once

#include <vector>

#include "dnn/tensor.h"

namespace dnn {

/// The weights of one layer in one direction; `gates` is 4 for `lstm`, 3 for `gru`, 1 for `rnn`, and the gates stand in
/// PyTorch's order: input, forget, cell, output; reset, update, new.
struct RecurrentWeights {
  Tensor weight_ih;     ///< Of the input, [gates * hidden, input].
  Tensor weight_hh;     ///< Of the state before, [gates * hidden, hidden].
  Tensor bias_ih = {};  ///< [gates * hidden], undefined when there is none.
  Tensor bias_hh = {};  ///< [gates * hidden], undefined when there is none.
};

/// What every sequence begins with; what is undefined stands for zeros.
struct RecurrentState {
  Tensor h = {};  ///< [layers * directions, n, hidden]
  Tensor c = {};  ///< The same, of `lstm` alone.
};

/// Options of `lstm`, `gru` and `rnn`.
struct RecurrentOptions {
  bool batch_first = false;    ///< Input and output are [n, t, ...] instead of [t, n, ...].
  bool bidirectional = false;  ///< Each layer also reads the sequence from its end; both outputs stand side by side.
  double dropout = 0;          ///< Probability of zeroing an element between two layers, in [0, 1].
  bool training = true;        ///< Otherwise there is no dropout.
};

/// What a recurrent operation gives. Layer l in direction d has entry l * directions + d of the final states.
struct RecurrentOutput {
  Tensor output;  ///< Of the last layer for every step, [t, n, directions * hidden].
  Tensor h_n;     ///< Every layer's state after its last step, [layers * directions, n, hidden].
  Tensor c_n;     ///< The same of the memory cells, of `lstm` alone.
};

/// Long short-term memory (Hochreiter & Schmidhuber, Neural Computation 1997; with forget gates, Gers et al., 2000):
/// input [t, n, input], the weights of all layers, each forward before backward -> see RecurrentOutput. With i, f, o
/// sigmoids and g the hyperbolic tangent of W_ih x + b_ih + W_hh h + b_hh: c' = f c + i g, h' = o tanh(c'). Throws
/// ShapeError (an empty sequence among others), DTypeError unless floating, ArgumentError.
RecurrentOutput lstm(const Tensor& input, const std::vector<RecurrentWeights>& weights,
                     const RecurrentState& initial = {}, const RecurrentOptions& options = {});

/// Gated recurrent units (Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014) in the
/// form that resets after the product: with r, z sigmoids, n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n
/// + z h. Shapes and errors as `lstm`.
RecurrentOutput gru(const Tensor& input, const std::vector<RecurrentWeights>& weights,
                    const RecurrentState& initial = {}, const RecurrentOptions& options = {});

/// What `rnn` applies to its sums.
enum class RnnNonlinearity { tanh, relu };

/// The plain recurrent network (Elman, "Finding structure in time", Cognitive Science 1990): h' = tanh(W_ih x + b_ih +
/// W_hh h + b_hh), or ReLU of it. Shapes and errors as `lstm`.
RecurrentOutput rnn(const Tensor& input, const std::vector<RecurrentWeights>& weights,
                    const RecurrentState& initial = {}, const RecurrentOptions& options = {},
                    RnnNonlinearity nonlinearity = RnnNonlinearity::tanh);

}  // namespace dnn
