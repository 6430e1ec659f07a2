// Recurrent layers.
#include "dnn/layers/recurrent.h"

#include <fmt/format.h>

#include <cmath>

#include "dnn/init.h"
#include "dnn/ops/shape.h"
#include "layers/blank.h"

namespace dnn {

RecurrentLayer::RecurrentLayer(const char* name, int64_t gates, int64_t input_size, int64_t hidden_size,
                               const RecurrentLayerOptions& options)
    : input_size_(input_size), hidden_size_(hidden_size), options_(options) {
  if (input_size < 1 || hidden_size < 1)
    throw ArgumentError(fmt::format("{}: input_size is {} and hidden_size is {}, expected both at least 1", name,
                                    input_size, hidden_size));
  if (options.layers < 1)
    throw ArgumentError(fmt::format("{}: layers is {}, expected at least 1", name, options.layers));
  if (!(options.dropout >= 0 && options.dropout <= 1))
    throw ArgumentError(fmt::format("{}: dropout is {}, expected a probability in [0, 1]", name, options.dropout));
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  const auto add = [&](const std::string& parameter, const Shape& shape) {
    names_.push_back(parameter);
    parameters_.emplace_back(detail::blank(shape));
    uniform_(parameters_.back(), -bound, bound);
  };
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    const int64_t features = layer == 0 ? input_size : directions() * hidden_size;
    for (int64_t direction = 0; direction < directions(); ++direction) {
      const std::string suffix = fmt::format("_l{}{}", layer, direction == 1 ? "_reverse" : "");
      add("weight_ih" + suffix, {gates * hidden_size, features});
      add("weight_hh" + suffix, {gates * hidden_size, hidden_size});
      if (!options.bias) continue;
      add("bias_ih" + suffix, {gates * hidden_size});
      add("bias_hh" + suffix, {gates * hidden_size});
    }
  }
}

RecurrentOutput RecurrentLayer::operator()(const Tensor& x, const RecurrentState& initial) {
  RecurrentOutput result;
  run(x, [&] {
    result = compute(x, initial, options());
    return options_.return_sequences ? result.output : last_states(result);
  });
  return result;
}

Tensor RecurrentLayer::forward(Tensor x) {
  const RecurrentOutput result = compute(x, {}, options());
  return options_.return_sequences ? result.output : last_states(result);
}

RecurrentOptions RecurrentLayer::options() const {
  return {.batch_first = options_.batch_first,
          .bidirectional = options_.bidirectional,
          .dropout = options_.dropout,
          .training = training()};
}

Tensor RecurrentLayer::last_states(const RecurrentOutput& output) const {
  const Tensor forward = output.h_n.select(0, (options_.layers - 1) * directions());
  return options_.bidirectional ? cat({forward, output.h_n.select(0, -1)}, 1) : forward;
}

std::vector<RecurrentWeights> RecurrentLayer::weights() const {
  std::vector<RecurrentWeights> list;
  const size_t each = options_.bias ? 4 : 2;
  for (size_t i = 0; i < parameters_.size(); i += each) {
    RecurrentWeights& w = list.emplace_back(RecurrentWeights{parameters_[i], parameters_[i + 1]});
    if (options_.bias) w.bias_ih = parameters_[i + 2], w.bias_hh = parameters_[i + 3];
  }
  return list;
}

detail::Members RecurrentLayer::members() {
  detail::Members list;
  for (size_t i = 0; i < names_.size(); ++i) list.push_back({names_[i], &parameters_[i]});
  return list;
}

std::string RecurrentLayer::describe() const {
  std::string text = fmt::format("{}, {}", input_size_, hidden_size_);
  if (options_.layers != 1) text += fmt::format(", layers={}", options_.layers);
  if (!options_.bias) text += ", bias=false";
  if (options_.batch_first) text += ", batch_first=true";
  if (options_.dropout != 0) text += fmt::format(", dropout={}", options_.dropout);
  if (options_.bidirectional) text += ", bidirectional=true";
  if (!options_.return_sequences) text += ", return_sequences=false";
  return text;
}

int64_t RecurrentLayer::macs(const Shape& input, const Shape& /*output*/) const {
  int64_t weights = 0;
  for (const Parameter& parameter : parameters_)
    if (parameter.rank() == 2) weights += parameter.numel();
  return input[0] * input[1] * weights;
}

RNN::RNN(int64_t input_size, int64_t hidden_size, const RnnLayerOptions& options)
    : RecurrentLayer("RNN", 1, input_size, hidden_size,
                     {.layers = options.layers,
                      .bias = options.bias,
                      .batch_first = options.batch_first,
                      .dropout = options.dropout,
                      .bidirectional = options.bidirectional,
                      .return_sequences = options.return_sequences}),
      nonlinearity_(options.nonlinearity) {}

std::string RNN::describe() const {
  return RecurrentLayer::describe() + (nonlinearity_ == RnnNonlinearity::relu ? ", nonlinearity=relu" : "");
}

}  // namespace dnn
