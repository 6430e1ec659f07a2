// Recurrent layers. Called with a sequence they give a RecurrentOutput; in a Sequential, where one tensor follows the
// other, the output of every step, or with `return_sequences = false` what the last layer knows at the end:
//
//   Sequential net(LSTM(28, 64, {.batch_first = true, .return_sequences = false}), Linear(64, 10));
#pragma once

#include <string>
#include <vector>

#include "dnn/layer.h"
#include "dnn/ops/recurrent.h"

namespace dnn {

/// Options of `LSTM` and `GRU`.
struct RecurrentLayerOptions {
  int64_t layers = 1;            ///< Layers on top of each other.
  bool bias = true;              ///< Whether biases are added.
  bool batch_first = false;      ///< Input and output are [n, t, ...] instead of [t, n, ...].
  double dropout = 0;            ///< Probability of zeroing an element between two layers, in training.
  bool bidirectional = false;    ///< Each layer also reads the sequence from its end.
  bool return_sequences = true;  ///< As a layer in a Sequential: the output of every step, [t, n, directions * hidden];
                                 ///< otherwise the last layer's final states, [n, directions * hidden].
};

/// Options of `RNN`.
struct RnnLayerOptions {
  int64_t layers = 1;                                    ///< See RecurrentLayerOptions, here and below.
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;  ///< Applied to the sums.
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  bool return_sequences = true;
};

/// What LSTM, GRU and RNN share. Parameters have PyTorch's names: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0,
/// then the same with "_reverse" where there are two directions, then those of l1. All start uniform in +-1 /
/// sqrt(hidden).
class RecurrentLayer : public Layer {
 public:
  /// Output and final states of a batch of sequences, [t, n, input] or [n, t, input]; throws like `lstm`.
  RecurrentOutput operator()(const Tensor& x, const RecurrentState& initial = {});
  Tensor forward(Tensor x) override;
  /// The parameters as the operations take them.
  std::vector<RecurrentWeights> weights() const;
  std::string describe() const override;
  int64_t macs(const Shape& input, const Shape& output) const override;
  detail::Members members() override;

 protected:
  /// Throws ArgumentError unless sizes and layers are at least 1 and dropout is in [0, 1].
  RecurrentLayer(const char* name, int64_t gates, int64_t input_size, int64_t hidden_size,
                 const RecurrentLayerOptions& options);
  virtual RecurrentOutput compute(const Tensor& x, const RecurrentState& initial,
                                  const RecurrentOptions& options) const = 0;

 private:
  int64_t directions() const { return options_.bidirectional ? 2 : 1; }
  RecurrentOptions options() const;
  Tensor last_states(const RecurrentOutput& output) const;

  int64_t input_size_, hidden_size_;
  RecurrentLayerOptions options_;
  std::vector<std::string> names_;
  std::vector<Parameter> parameters_;
};

/// Long short-term memory, see `lstm`.
class LSTM : public RecurrentLayer {
 public:
  LSTM(int64_t input_size, int64_t hidden_size, const RecurrentLayerOptions& options = {})
      : RecurrentLayer("LSTM", 4, input_size, hidden_size, options) {}
  LSTM clone() const { return detail::clone(*this); }
  std::unique_ptr<Module> clone_unique() const override { return detail::clone_unique(*this); }

 protected:
  RecurrentOutput compute(const Tensor& x, const RecurrentState& initial,
                          const RecurrentOptions& options) const override {
    return lstm(x, weights(), initial, options);
  }
};

/// Gated recurrent units, see `gru`.
class GRU : public RecurrentLayer {
 public:
  GRU(int64_t input_size, int64_t hidden_size, const RecurrentLayerOptions& options = {})
      : RecurrentLayer("GRU", 3, input_size, hidden_size, options) {}
  GRU clone() const { return detail::clone(*this); }
  std::unique_ptr<Module> clone_unique() const override { return detail::clone_unique(*this); }

 protected:
  RecurrentOutput compute(const Tensor& x, const RecurrentState& initial,
                          const RecurrentOptions& options) const override {
    return gru(x, weights(), initial, options);
  }
};

/// The plain recurrent network, see `rnn`.
class RNN : public RecurrentLayer {
 public:
  RNN(int64_t input_size, int64_t hidden_size, const RnnLayerOptions& options = {});
  RNN clone() const { return detail::clone(*this); }
  std::unique_ptr<Module> clone_unique() const override { return detail::clone_unique(*this); }
  std::string describe() const override;

 protected:
  RecurrentOutput compute(const Tensor& x, const RecurrentState& initial,
                          const RecurrentOptions& options) const override {
    return rnn(x, weights(), initial, options, nonlinearity_);
  }

 private:
  RnnNonlinearity nonlinearity_;
};

}  // namespace dnn
