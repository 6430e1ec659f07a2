// Numbers of matrices, and pieces of weights.
#include "cuda/rnn_layout.h"

#include <fmt/format.h>

#include <limits>

#include "cuda/plan_cache.h"
#include "dnn/error.h"

namespace dnn::cuda {

using kernel::RecurrentCell;

RnnShape shape_of(const kernel::RecurrentProblem& problem, bool takes_bfloat16, bool allow_tf32) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  for (const auto& [name, size] : {std::pair{"steps", problem.steps}, std::pair{"sequences", problem.batch},
                                   std::pair{"features", problem.input}, std::pair{"hidden units", problem.hidden}}) {
    if (size > most)
      throw ArgumentError(fmt::format("cuda: a recurrent layer has {} {}, expected at most {}", size, name, most));
  }
  if (problem.batch * problem.hidden > most)
    throw ArgumentError(
        fmt::format("cuda: a recurrent layer has {} sequences with {} hidden units, expected at most {} "
                    "hidden units in all",
                    problem.batch, problem.hidden, most));
  const bool converted = problem.dtype == DType::bfloat16 && !takes_bfloat16;
  const DType type = converted ? DType::float32 : problem.dtype;
  return {.cell = problem.cell,
          .steps = problem.steps,
          .batch = problem.batch,
          .input = problem.input,
          .hidden = problem.hidden,
          .directions = problem.directions,
          .dtype = type,
          // What TF32 rounds away is less than bfloat16 has lost already.
          .tf32 = type == DType::float32 && (converted || allow_tf32),
          .training = problem.training};
}

size_t RnnShapeHash::operator()(const RnnShape& s) const {
  const auto number = [](auto value) { return static_cast<int64_t>(value); };
  return hash_of(std::array{number(s.cell), s.steps, s.batch, s.input, s.hidden, s.directions, number(s.dtype),
                            number(s.tf32), number(s.training)});
}

int matrix_count(RecurrentCell cell) { return cell == RecurrentCell::lstm ? 8 : cell == RecurrentCell::gru ? 6 : 2; }

// The library's gates come in PyTorch's order: input, forget, new memory, output of an LSTM; reset, update, new memory
// of a GRU. Its formulas are PyTorch's too; in a GRU the reset gate multiplies R h + b_R, the bias included, and the
// update gate is the share of the state before.
RnnMatrix matrix_of(RecurrentCell cell, int number) {
  const int gates = matrix_count(cell) / 2;
  return {number < gates ? RnnFactor::input : RnnFactor::state, number % gates};
}

std::vector<RnnPiece> pieces_of(const RnnShape& shape, const RnnLayout& layout) {
  std::vector<RnnPiece> pieces;
  for (int64_t direction = 0; direction < shape.directions; ++direction) {
    for (const RnnWeight weight :
         {RnnWeight::weight_ih, RnnWeight::weight_hh, RnnWeight::bias_ih, RnnWeight::bias_hh}) {
      const bool is_bias = weight == RnnWeight::bias_ih || weight == RnnWeight::bias_hh;
      const bool of_input = weight == RnnWeight::weight_ih || weight == RnnWeight::bias_ih;
      const RnnFactor factor = of_input ? RnnFactor::input : RnnFactor::state;
      const int64_t n = shape.hidden * (is_bias ? 1 : of_input ? shape.input : shape.hidden);
      for (int number = 0; number < matrix_count(shape.cell); ++number) {
        const RnnMatrix matrix = matrix_of(shape.cell, number);
        if (matrix.factor != factor) continue;
        const RnnLayout::Place& place = layout.places[static_cast<size_t>(direction)][static_cast<size_t>(number)];
        pieces.push_back({direction, weight, matrix.row * n, n, is_bias ? place.bias : place.matrix});
      }
    }
  }
  return pieces;
}

}  // namespace dnn::cuda
