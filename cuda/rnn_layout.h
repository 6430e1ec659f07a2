// Where the weights of a recurrent layer, which are PyTorch's tensors, lie in a library's weight space.
//
// cuDNN numbers the matrices of a layer: first those that multiply the input, one for each gate, then those that
// multiply the state, in the same order of gates. Each comes with a bias. Where they lie is the library's own choice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels/recurrent.h"

namespace dnn::cuda {

// A layer in one direction or both, as the library takes it: always with both biases.
struct RnnShape {
  kernel::RecurrentCell cell = kernel::RecurrentCell::lstm;
  int64_t steps = 1;
  int64_t batch = 1;
  int64_t input = 1;
  int64_t hidden = 1;
  int64_t directions = 1;
  DType dtype = DType::float32;  // of everything in memory; 16-bit types are computed in float32
  bool tf32 = false;             // whether factors of float32 may be rounded to TF32
  bool training = true;          // whether a backward pass may follow
  friend bool operator==(const RnnShape&, const RnnShape&) = default;
};

struct RnnShapeHash {
  size_t operator()(const RnnShape& shape) const;
};

// What the library is asked for. A type that it does not take is computed in float32. Throws ArgumentError when a size
// is beyond the library's integers.
RnnShape shape_of(const kernel::RecurrentProblem& problem, bool takes_bfloat16, bool allow_tf32);

// Matrices of a cell: one for each gate and factor.
int matrix_count(kernel::RecurrentCell cell);

enum class RnnFactor { input, state };

// What the matrix with a number of the library is among PyTorch's: the rows [row, row + 1) * hidden of weight_ih or
// weight_hh, and of the bias.
struct RnnMatrix {
  RnnFactor factor;
  int row;
};
RnnMatrix matrix_of(kernel::RecurrentCell cell, int number);

// Sizes and places in bytes, as the library says them.
struct RnnLayout {
  struct Place {
    int64_t matrix = 0;
    int64_t bias = 0;
  };
  int64_t weight_bytes = 0;
  int64_t workspace_bytes = 0;
  int64_t reserve_bytes = 0;                   // 0 without training
  std::array<std::array<Place, 8>, 2> places;  // of a matrix by direction and number
};

enum class RnnWeight { weight_ih, weight_hh, bias_ih, bias_hh };

// A piece of the weights that is contiguous both in its tensor and in the weight space.
struct RnnPiece {
  int64_t direction;
  RnnWeight weight;
  int64_t begin;   // in the tensor, in elements
  int64_t n;       // elements
  int64_t offset;  // in the weight space, in bytes
};

// All weights in pieces, ordered by direction, tensor and place in the tensor.
std::vector<RnnPiece> pieces_of(const RnnShape& shape, const RnnLayout& layout);

}  // namespace dnn::cuda
