// A matrix product in cuBLASLt's terms, and the translation of the slots' products into them: pure functions.
//
// cuBLASLt computes D = epilogue(op(A) op(B) + C) on column-major matrices. A row-major matrix is, read by columns, its
// own transpose; so what is computed is out^T = op(b)^T op(a)^T: cuBLASLt's A is our right factor, its B our left one,
// and the rows of its D are our columns. A bias per column of ours is one per row of D, as its epilogues want it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/kernels/linear.h"

namespace dnn::cuda {

// A column-major matrix as it is stored, before any transposition: element (i, j) of number b of a batch lies at
// i + j * leading + b * step. `step` 0: one matrix for the whole batch.
struct MatmulMatrix {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t leading = 0;
  int64_t step = 0;
  friend bool operator==(const MatmulMatrix&, const MatmulMatrix&) = default;
};

// What is added to the product.
enum class MatmulAddend {
  none,
  output,  // what D holds
  other,   // a matrix C of its own, which lies as D does
};

// How products are computed and summed up; alpha and beta have that type too.
enum class MatmulCompute { float64, float32, tf32 };

// What happens to the sum on its way into D; `bias` is a vector, one element for each row of D. Gelu has its tanh
// form.
enum class MatmulEpilogue {
  none,
  bias,
  relu,
  relu_bias,
  gelu_aux,  // gelu's argument goes into a matrix `aux` of D's type
  gelu_aux_bias,
  relu_aux_bias,  // aux gets a bit for each element of D, whether it is positive
  relu_gradient,  // D is 0 where the bit of aux is, and the bias vector is an output: D summed over its columns
  bias_gradient,  // the bias vector is an output, one element for each column of D: op(B) summed over its rows
};

// The largest power of two, 1 to 16 or 256, that divides the address; 0 for null.
int matmul_alignment(const void* pointer);

struct MatmulPointers {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;  // of MatmulAddend::other
  void* d = nullptr;
  void* bias = nullptr;
  void* aux = nullptr;
};

struct MatmulProblem {
  DType type = DType::float32;  // of the elements of all matrices and of the bias
  MatmulCompute compute = MatmulCompute::float32;
  bool transpose_a = false;
  bool transpose_b = false;
  MatmulMatrix a, b, d;
  int64_t batch = 1;
  MatmulAddend addend = MatmulAddend::none;
  MatmulEpilogue epilogue = MatmulEpilogue::none;
  int64_t aux_leading = 0;  // of gelu_aux, in bits for relu's
  struct Alignments {       // in bytes, of the first elements; 0 for what is not there
    int a = 256, b = 256, c = 0, d = 256, bias = 0, aux = 0;
    friend bool operator==(const Alignments&, const Alignments&) = default;
  } alignments;

  int64_t depth() const { return transpose_a ? a.rows : a.columns; }
  void align_as(const MatmulPointers& pointers);
  std::string str() const;  // for messages
  friend bool operator==(const MatmulProblem&, const MatmulProblem&) = default;
};

struct MatmulProblemHash {
  size_t operator()(const MatmulProblem& problem) const;
};

// All of a problem, in words.
std::string text_of(const MatmulProblem& problem);

bool has_bias(MatmulEpilogue epilogue);  // reads or writes a bias vector
bool has_aux(MatmulEpilogue epilogue);
bool has_bits(MatmulEpilogue epilogue);  // in aux
bool has_activation(MatmulEpilogue epilogue);

// out [m, n] = op(a) op(b) (+ out), as the slot gemm.
MatmulProblem gemm_problem(DType type, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
                           bool accumulate, bool tf32);

// As the slot gemm_batched.
MatmulProblem batched_problem(const kernel::BatchedGemm& product, DType type, bool accumulate, bool tf32);

// What linear_fused asks for beside the product.
struct LinearExtras {
  bool bias = false;
  bool add = false;
  Activation activation = Activation::none;
};

// out [m, n] = x [m, k] weight [n, k]^T with as much of the extras as the flags say; nothing when no epilogue does
// that: float64 has none, the matrix of gelu's arguments wants columns in eights, and gelu is approximated too coarsely
// for float32 when TF32 is not allowed.
std::optional<MatmulProblem> linear_problem(DType type, int64_t m, int64_t n, int64_t k, const LinearExtras& extras,
                                            bool fuse_bias, bool fuse_activation, bool tf32);

// out [m, n] = relu(x [m, k] weight [n, k]^T + bias) and the bits of relu, a row of kernel::mask_bytes(n) for each of
// out's; and grad_input [m, k] = grad [m, n] weight [n, k], through the relu with such bits of grad_input's shape, with
// the sum of its rows [k]. Nothing for float64.
std::optional<MatmulProblem> relu_problem(DType type, int64_t m, int64_t n, int64_t k, bool tf32);
std::optional<MatmulProblem> relu_gradient_problem(DType type, int64_t m, int64_t n, int64_t k, bool tf32);

// grad_weight [n, k] = grad [m, n]^T x [m, k] (+ grad_weight), and with it the sum of grad's rows [n]. Nothing for
// float64.
std::optional<MatmulProblem> weight_gradient_problem(DType type, int64_t m, int64_t n, int64_t k, bool accumulate,
                                                     bool tf32);

}  // namespace dnn::cuda
