// From the slots' products to cuBLASLt's.
#include "cuda/matmul_problem.h"

#include <fmt/format.h>

#include "cuda/plan_cache.h"

namespace dnn::cuda {

namespace {

MatmulCompute compute_of(DType type, bool tf32) {
  if (type == DType::float64) return MatmulCompute::float64;
  return type == DType::float32 && tf32 ? MatmulCompute::tf32 : MatmulCompute::float32;
}

// All that tells two problems apart.
std::array<int64_t, 26> numbers(const MatmulProblem& p) {
  const auto number = [](auto value) { return static_cast<int64_t>(value); };
  return {number(p.type),    number(p.compute), number(p.transpose_a), number(p.transpose_b),
          p.a.rows,          p.a.columns,       p.a.leading,           p.a.step,
          p.b.rows,          p.b.columns,       p.b.leading,           p.b.step,
          p.d.rows,          p.d.columns,       p.d.leading,           p.d.step,
          p.batch,           number(p.addend),  number(p.epilogue),    p.aux_leading,
          p.alignments.a,    p.alignments.b,    p.alignments.c,        p.alignments.d,
          p.alignments.bias, p.alignments.aux};
}

MatmulEpilogue epilogue_of(bool bias, Activation activation) {
  switch (activation) {
    case Activation::none: return bias ? MatmulEpilogue::bias : MatmulEpilogue::none;
    case Activation::relu: return bias ? MatmulEpilogue::relu_bias : MatmulEpilogue::relu;
    case Activation::gelu_tanh: break;
  }
  return bias ? MatmulEpilogue::gelu_aux_bias : MatmulEpilogue::gelu_aux;
}

const char* name_of(MatmulEpilogue epilogue) {
  switch (epilogue) {
    case MatmulEpilogue::none: return "none";
    case MatmulEpilogue::bias: return "bias";
    case MatmulEpilogue::relu: return "relu";
    case MatmulEpilogue::relu_bias: return "relu_bias";
    case MatmulEpilogue::gelu_aux: return "gelu_aux";
    case MatmulEpilogue::gelu_aux_bias: return "gelu_aux_bias";
    case MatmulEpilogue::relu_aux_bias: return "relu_aux_bias";
    case MatmulEpilogue::relu_gradient: return "relu_gradient";
    case MatmulEpilogue::bias_gradient: return "bias_gradient";
  }
  return "?";
}

}  // namespace

int matmul_alignment(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (address == 0) return 0;
  if (address % 256 == 0) return 256;
  // Between 16 and 256 nothing is told apart: no kernel loads more at once, and each alignment is timed anew.
  const uintptr_t lowest = address & (~address + 1);
  return static_cast<int>(lowest < 16 ? lowest : 16);
}

void MatmulProblem::align_as(const MatmulPointers& pointers) {
  alignments = {matmul_alignment(pointers.a), matmul_alignment(pointers.b),    matmul_alignment(pointers.c),
                matmul_alignment(pointers.d), matmul_alignment(pointers.bias), matmul_alignment(pointers.aux)};
}

std::string MatmulProblem::str() const {
  const auto matrix = [](const char* name, const MatmulMatrix& m, bool transposed) {
    return fmt::format("{}{} {}x{} leading {} step {}", name, transposed ? "^T" : "", m.rows, m.columns, m.leading,
                       m.step);
  };
  return fmt::format("{}, {}, {}, {}, batch {}, {}accumulated, epilogue {}", dnn::name_of(type),
                     matrix("A", a, transpose_a), matrix("B", b, transpose_b), matrix("D", d, false), batch,
                     addend == MatmulAddend::none ? "not " : "", name_of(epilogue));
}

std::string text_of(const MatmulProblem& p) {
  constexpr const char* computes[] = {"float64", "float32", "TF32"};
  constexpr const char* addends[] = {"nothing", "D", "C"};
  const MatmulProblem::Alignments& at = p.alignments;
  return fmt::format("matmul, {}, computed in {}, {} added, aux {}, aligned to {}, {}, {}, {}, {}, {}", p.str(),
                     computes[static_cast<size_t>(p.compute)], addends[static_cast<size_t>(p.addend)], p.aux_leading,
                     at.a, at.b, at.c, at.d, at.bias, at.aux);
}

size_t MatmulProblemHash::operator()(const MatmulProblem& problem) const { return hash_of(numbers(problem)); }

bool has_bias(MatmulEpilogue epilogue) {
  switch (epilogue) {
    case MatmulEpilogue::bias:
    case MatmulEpilogue::relu_bias:
    case MatmulEpilogue::gelu_aux_bias:
    case MatmulEpilogue::relu_aux_bias:
    case MatmulEpilogue::relu_gradient:
    case MatmulEpilogue::bias_gradient: return true;
    default: return false;
  }
}

bool has_aux(MatmulEpilogue epilogue) {
  return epilogue == MatmulEpilogue::gelu_aux || epilogue == MatmulEpilogue::gelu_aux_bias || has_bits(epilogue);
}

bool has_bits(MatmulEpilogue epilogue) {
  return epilogue == MatmulEpilogue::relu_aux_bias || epilogue == MatmulEpilogue::relu_gradient;
}

bool has_activation(MatmulEpilogue epilogue) {
  return epilogue != MatmulEpilogue::none && epilogue != MatmulEpilogue::bias &&
         epilogue != MatmulEpilogue::bias_gradient && epilogue != MatmulEpilogue::relu_gradient;
}

MatmulProblem batched_problem(const kernel::BatchedGemm& product, DType type, bool accumulate, bool tf32) {
  const auto [batch, m, n, k, left, right] = product;
  // A row-major matrix [r, c] is c x r by columns; a transposed one is stored as [c, r].
  const auto stored = [](int64_t r, int64_t c, const kernel::BatchedOperand& lie) {
    return lie.transposed ? MatmulMatrix{r, c, lie.row, lie.step} : MatmulMatrix{c, r, lie.row, lie.step};
  };
  MatmulProblem p;
  p.type = type;
  p.compute = compute_of(type, tf32);
  p.transpose_a = right.transposed;
  p.transpose_b = left.transposed;
  p.a = stored(k, n, right);
  p.b = stored(m, k, left);
  p.d = {n, m, n, m * n};
  p.batch = batch;
  p.addend = accumulate ? MatmulAddend::output : MatmulAddend::none;
  if (batch == 1) p.a.step = p.b.step = p.d.step = 0;
  return p;
}

MatmulProblem gemm_problem(DType type, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
                           bool accumulate, bool tf32) {
  const kernel::BatchedOperand a{0, transpose_a ? m : k, transpose_a}, b{0, transpose_b ? k : n, transpose_b};
  return batched_problem({1, m, n, k, a, b}, type, accumulate, tf32);
}

std::optional<MatmulProblem> linear_problem(DType type, int64_t m, int64_t n, int64_t k, const LinearExtras& extras,
                                            bool fuse_bias, bool fuse_activation, bool tf32) {
  const bool bias = extras.bias && fuse_bias;
  const Activation activation = fuse_activation ? extras.activation : Activation::none;
  if (activation != Activation::none && extras.bias && !bias) return std::nullopt;  // it comes after the bias
  MatmulProblem p = gemm_problem(type, m, n, k, false, true, false, tf32);
  p.epilogue = epilogue_of(bias, activation);
  if (type == DType::float64 && p.epilogue != MatmulEpilogue::none) return std::nullopt;
  if (activation == Activation::gelu_tanh && type == DType::float32 && !tf32) return std::nullopt;
  if (has_aux(p.epilogue)) {
    if (n % 8 != 0) return std::nullopt;
    p.aux_leading = n;
  }
  if (extras.add) p.addend = MatmulAddend::other;
  return p;
}

std::optional<MatmulProblem> relu_problem(DType type, int64_t m, int64_t n, int64_t k, bool tf32) {
  if (type == DType::float64) return std::nullopt;
  MatmulProblem p = gemm_problem(type, m, n, k, false, true, false, tf32);
  p.epilogue = MatmulEpilogue::relu_aux_bias;
  p.aux_leading = 8 * kernel::mask_bytes(n);
  return p;
}

std::optional<MatmulProblem> relu_gradient_problem(DType type, int64_t m, int64_t n, int64_t k, bool tf32) {
  if (type == DType::float64) return std::nullopt;
  MatmulProblem p = gemm_problem(type, m, k, n, false, false, false, tf32);
  p.epilogue = MatmulEpilogue::relu_gradient;
  p.aux_leading = 8 * kernel::mask_bytes(k);
  return p;
}

std::optional<MatmulProblem> weight_gradient_problem(DType type, int64_t m, int64_t n, int64_t k, bool accumulate,
                                                     bool tf32) {
  if (type == DType::float64) return std::nullopt;
  // out [n, k] = grad^T x; op(B) is grad^T read by columns, m x n: its sums over m are the bias gradient.
  MatmulProblem p = gemm_problem(type, n, k, m, true, false, accumulate, tf32);
  p.epilogue = MatmulEpilogue::bias_gradient;
  return p;
}

}  // namespace dnn::cuda
