// Recurrent networks, layer by layer. A layer is one recorded operation; its final states are views of its output, the
// memory cells of an LSTM lie behind the output in the same memory.
#include "dnn/ops/recurrent.h"

#include "core/autocast.h"
#include "core/check.h"
#include "core/kernels/recurrent.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/dropout.h"
#include "dnn/ops/shape.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::RecurrentCell;
using kernel::RecurrentProblem;
using kernel::RecurrentTensors;

namespace {

// What the errors of one call name.
struct Call {
  const char* where;
  RecurrentCell cell;
  const Tensor& input;  // [t, n, input], or [n, t, input]
  const std::vector<RecurrentWeights>& weights;
  const RecurrentState& initial;
  const RecurrentOptions& options;
  int64_t directions() const { return options.bidirectional ? 2 : 1; }
  int64_t layers() const { return static_cast<int64_t>(weights.size()) / directions(); }
};

int64_t gates_of(RecurrentCell cell) { return cell == RecurrentCell::lstm ? 4 : cell == RecurrentCell::gru ? 3 : 1; }

void check_weights(const Call& call, size_t i, int64_t features, int64_t hidden, int64_t gates) {
  const RecurrentWeights& w = call.weights[i];
  const auto check = [&](const char* name, const Tensor& t, const Shape& expected) {
    if (t.shape() != expected)
      throw ShapeError(fmt::format("{}: {} of entry {} has shape {}, expected {} (input size {}, hidden size {})",
                                   call.where, name, i, t.shape(), expected, features, hidden));
  };
  check("weight_ih", w.weight_ih, {gates * hidden, features});
  check("weight_hh", w.weight_hh, {gates * hidden, hidden});
  if (w.bias_ih.defined()) check("bias_ih", w.bias_ih, {gates * hidden});
  if (w.bias_hh.defined()) check("bias_hh", w.bias_hh, {gates * hidden});
}

// The problem of the first layer.
RecurrentProblem check(const Call& call) {
  const char* const where = call.where;
  const Tensor& input = call.input;
  detail::check_floating(where, "input", input);
  if (call.weights.empty() || static_cast<int64_t>(call.weights.size()) % call.directions() != 0)
    throw ArgumentError(fmt::format("{}: there are {} weights, expected {} for each layer", where, call.weights.size(),
                                    call.directions()));
  if (!(call.options.dropout >= 0 && call.options.dropout <= 1))
    throw ArgumentError(
        fmt::format("{}: dropout is {}, expected a probability in [0, 1]", where, call.options.dropout));
  for (const RecurrentWeights& w : call.weights) {
    const std::initializer_list<detail::NamedTensor> all{
        {"input", &input},       {"weight_ih", &w.weight_ih}, {"weight_hh", &w.weight_hh}, {"bias_ih", &w.bias_ih},
        {"bias_hh", &w.bias_hh}, {"h", &call.initial.h},      {"c", &call.initial.c}};
    detail::check_defined(where, {{"weight_ih", &w.weight_ih}, {"weight_hh", &w.weight_hh}});
    detail::check_same_device(where, all);
    detail::check_same_dtype(where, all);
    detail::check_rank(where, "weight_ih", w.weight_ih, 2);
    detail::check_rank(where, "weight_hh", w.weight_hh, 2);
  }
  const Tensor& first = call.weights.front().weight_ih;
  RecurrentProblem problem{.cell = call.cell,
                           .steps = input.size(call.options.batch_first ? 1 : 0),
                           .batch = input.size(call.options.batch_first ? 0 : 1),
                           .input = input.size(2),
                           .hidden = call.weights.front().weight_hh.size(1),
                           .directions = call.directions(),
                           .dtype = input.dtype(),
                           .gates = gates_of(call.cell)};
  if (problem.input != first.size(1))
    throw ShapeError(fmt::format("{}: input has {} features, weight_ih expects {} (input {}, weight_ih {})", where,
                                 problem.input, first.size(1), input.shape(), first.shape()));
  if (problem.steps == 0)
    throw ShapeError(
        fmt::format("{}: the sequence is empty, expected at least one step (input {})", where, input.shape()));
  if (problem.input == 0 || problem.hidden == 0)
    throw ShapeError(fmt::format("{}: a size is 0, expected features and hidden units (input {}, weight_hh {})", where,
                                 input.shape(), call.weights.front().weight_hh.shape()));
  for (size_t i = 0; i < call.weights.size(); ++i) {
    const bool first_layer = static_cast<int64_t>(i) < problem.directions;
    check_weights(call, i, first_layer ? problem.input : problem.directions * problem.hidden, problem.hidden,
                  problem.gates);
  }
  const Shape state{static_cast<int64_t>(call.weights.size()), problem.batch, problem.hidden};
  const auto check_state = [&](const char* name, const Tensor& t) {
    if (t.defined() && t.shape() != state)
      throw ShapeError(fmt::format("{}: {} has shape {}, expected [layers * directions, n, hidden] = {} (input {})",
                                   where, name, t.shape(), state, input.shape()));
  };
  check_state("h", call.initial.h);
  check_state("c", call.initial.c);
  return problem;
}

struct LayerOutput {
  Tensor y;    // [t, n, directions * hidden]
  Tensor c_n;  // [directions, n, hidden]
};

kernel::RecurrentGradient into(Backward& b, int i) {
  if (!b.wants(i)) return {};
  const auto [tensor, accumulate] = b.into(i);
  return {tensor, accumulate};
}

// The two parts of the memory that the layer writes.
LayerOutput parts_of(const RecurrentProblem& p, const Tensor& memory) {
  const Shape sequence{p.steps, p.batch, p.directions * p.hidden};
  if (p.cell != RecurrentCell::lstm) return {memory, {}};
  return {memory.slice(0, 0, sequence.numel()).reshape(sequence),
          memory.slice(0, sequence.numel(), memory.numel()).reshape({p.directions, p.batch, p.hidden})};
}

LayerOutput run_layer(const char* where, RecurrentProblem problem, const Tensor& input, const Tensor& h_0,
                      const Tensor& c_0, const RecurrentWeights* weights) {
  const Device device = input.device();
  const Tensor x = input.contiguous();
  std::vector<Tensor> inputs{x, h_0, c_0};
  for (int64_t d = 0; d < problem.directions; ++d)
    inputs.insert(inputs.end(), {weights[d].weight_ih, weights[d].weight_hh, weights[d].bias_ih, weights[d].bias_hh});
  problem.training = detail::needs_grad(inputs);

  const int64_t elements = problem.steps * problem.batch * problem.directions * problem.hidden;
  const int64_t cells = problem.directions * problem.batch * problem.hidden;
  Tensor memory = problem.cell == RecurrentCell::lstm
                      ? detail::allocate({elements + cells}, problem.dtype, device)
                      : detail::allocate({problem.steps, problem.batch, problem.directions * problem.hidden},
                                         problem.dtype, device);
  int64_t bytes = 0;
  kernel::recurrent_reserve[device](problem, &bytes);
  const Tensor reserve = detail::allocate({bytes}, DType::uint8, device);
  Saved y;
  {
    NoGrad no_grad;
    const auto plain = [](const Tensor& t) { return t.defined() ? detail::plain(t) : t; };
    const LayerOutput parts = parts_of(problem, memory);
    RecurrentTensors tensors{plain(x), plain(h_0), plain(c_0), parts.y, reserve, {}};
    for (int64_t d = 0; d < problem.directions; ++d)
      tensors.weights[d] = {plain(weights[d].weight_ih), plain(weights[d].weight_hh), plain(weights[d].bias_ih),
                            plain(weights[d].bias_hh)};
    kernel::recurrent_forward[device](problem, tensors, parts.c_n);
    y = Saved(parts.y);
  }

  std::vector<Saved> saved{Saved(x), Saved(h_0), Saved(c_0), y};
  for (int64_t d = 0; d < problem.directions; ++d)
    saved.insert(saved.end(), {Saved(weights[d].weight_ih), Saved(weights[d].weight_hh)});
  detail::record(where, memory, inputs, [problem, saved, reserve](Backward& b) {
    const auto get = [&](size_t i) {
      const Tensor t = b.get(saved[i]);
      return t.defined() ? detail::plain(t) : t;
    };
    RecurrentTensors tensors{get(0), get(1), get(2), get(3), reserve, {}};
    kernel::RecurrentGradients out{into(b, 0), into(b, 1), into(b, 2), {}};
    for (size_t d = 0; d < static_cast<size_t>(problem.directions); ++d) {
      tensors.weights[d] = {get(4 + 2 * d), get(5 + 2 * d)};
      const int at = 3 + 4 * static_cast<int>(d);
      out.weights[d] = {into(b, at), into(b, at + 1), into(b, at + 2), into(b, at + 3)};
    }
    const LayerOutput grads = parts_of(problem, detail::plain(b.grad()));
    kernel::recurrent_backward[grads.y.device()](problem, tensors, grads.y, grads.c_n, out);
  });
  return parts_of(problem, memory);
}

// The states after the last step, which is the first one for the second direction.
void append_final_states(const RecurrentProblem& p, const Tensor& y, std::vector<Tensor>& states) {
  states.push_back(y.slice(0, p.steps - 1, p.steps).slice(2, 0, p.hidden));
  if (p.directions == 2) states.push_back(y.slice(0, 0, 1).slice(2, p.hidden, 2 * p.hidden));
}

RecurrentOutput run(const char* where, RecurrentCell cell, const Tensor& input,
                    const std::vector<RecurrentWeights>& weights, const RecurrentState& initial,
                    const RecurrentOptions& options) {
  detail::check_defined(where, {{"input", &input}});
  if (detail::autocasts()) {
    const detail::CastScope cast(where, input);
    std::vector<RecurrentWeights> narrow;
    for (const RecurrentWeights& w : weights)
      narrow.push_back(
          {cast.weight(w.weight_ih), cast.weight(w.weight_hh), cast.weight(w.bias_ih), cast.weight(w.bias_hh)});
    return run(where, cell, cast(input), narrow, {cast(initial.h), cast(initial.c)}, options);
  }
  detail::check_rank(where, "input", input, 3);
  if (cell != RecurrentCell::lstm && initial.c.defined())
    throw ArgumentError(fmt::format("{}: there is an initial c, expected h alone (c {})", where, initial.c.shape()));
  const Call call{where, cell, input, weights, initial, options};
  RecurrentProblem problem = check(call);
  const int64_t directions = call.directions();

  std::vector<Tensor> h_n, c_n;
  Tensor y = options.batch_first ? input.transpose(0, 1) : input;
  for (int64_t layer = 0; layer < call.layers(); ++layer) {
    if (layer > 0) y = dropout(y, {.p = options.dropout, .training = options.training});
    const auto part = [&](const Tensor& state) {
      return state.defined() ? state.slice(0, layer * directions, (layer + 1) * directions).contiguous() : state;
    };
    problem.input = y.size(2);
    const LayerOutput out =
        run_layer(where, problem, y, part(initial.h), part(initial.c), weights.data() + layer * directions);
    y = out.y;
    append_final_states(problem, y, h_n);
    if (out.c_n.defined()) c_n.push_back(out.c_n);
  }
  return {options.batch_first ? y.transpose(0, 1) : y, cat(h_n), c_n.empty() ? Tensor() : cat(c_n)};
}

}  // namespace

RecurrentOutput lstm(const Tensor& input, const std::vector<RecurrentWeights>& weights, const RecurrentState& initial,
                     const RecurrentOptions& options) {
  return run("lstm", RecurrentCell::lstm, input, weights, initial, options);
}

RecurrentOutput gru(const Tensor& input, const std::vector<RecurrentWeights>& weights, const RecurrentState& initial,
                    const RecurrentOptions& options) {
  return run("gru", RecurrentCell::gru, input, weights, initial, options);
}

RecurrentOutput rnn(const Tensor& input, const std::vector<RecurrentWeights>& weights, const RecurrentState& initial,
                    const RecurrentOptions& options, RnnNonlinearity nonlinearity) {
  return run("rnn", nonlinearity == RnnNonlinearity::relu ? RecurrentCell::relu : RecurrentCell::tanh, input, weights,
             initial, options);
}

}  // namespace dnn
