// Products of matrices, of stacks of them, and of vectors.
#include "core/autocast.h"
#include "core/check.h"
#include "core/ops/gemm.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/linear.h"
#include "dnn/ops/shape.h"

namespace dnn {

using detail::Backward;
using detail::Saved;
using kernel::BatchedOperand;

namespace detail {

namespace {

// A matrix as gemm reads it.
struct Operand {
  Tensor matrix;
  bool transposed;
};

Operand operand(const Tensor& t) {
  NoGrad no_grad;
  Operand result{t, false};
  if (!t.is_contiguous() && t.t().is_contiguous()) result = {t.t(), true};
  result.matrix = result.matrix.contiguous();
  make_plain(result.matrix);
  return result;
}

}  // namespace

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Destination& out) {
  const Operand left = operand(a), right = operand(b);
  kernel::gemm[out.tensor.device()](left.matrix, left.transposed != transpose_a, right.matrix,
                                    right.transposed != transpose_b, out.tensor, out.accumulate);
}

}  // namespace detail

namespace {

// A stack of matrices [..., r, c] as gemm_batched reads it.
struct Stack {
  Tensor matrices;
  BatchedOperand lie;
};

// The distance of the matrices of a stack; false when they are not equally far apart.
bool equally_spaced(const Tensor& t, int64_t& step) {
  step = 0;
  int64_t expected = -1;
  for (int64_t d = t.rank() - 3; d >= 0; --d) {
    if (t.shape()[d] == 1) continue;
    if (expected < 0)
      step = t.strides()[d];
    else if (t.strides()[d] != expected)
      return false;
    expected = t.strides()[d] * t.shape()[d];
  }
  return true;
}

Stack stack_of(const Tensor& t) {
  NoGrad no_grad;
  const int64_t rows = t.size(-2), columns = t.size(-1);
  const int64_t row_step = t.strides()[t.rank() - 2], column_step = t.strides()[t.rank() - 1];
  Stack s{t, {}};
  if (equally_spaced(t, s.lie.step)) {
    detail::make_plain(t);
    if ((columns == 1 || column_step == 1) && (rows == 1 || row_step >= columns)) {
      s.lie.row = rows == 1 ? columns : row_step;
      return s;
    }
    if ((rows == 1 || row_step == 1) && (columns == 1 || column_step >= rows)) {
      s.lie.row = columns == 1 ? rows : column_step;
      s.lie.transposed = true;
      return s;
    }
  }
  s.matrices = t.clone();
  s.lie = {rows * columns, columns, false};
  return s;
}

// out [..., m, n] = a [..., m, k] b [..., k, n], all with the same leading dimensions.
void multiply(const Tensor& a, const Tensor& b, const detail::Destination& out) {
  if (out.tensor.numel() == 0) return;
  const Stack left = stack_of(a), right = stack_of(b);
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  kernel::gemm_batched[out.tensor.device()]({out.tensor.numel() / (m * n), m, n, k, left.lie, right.lie}, left.matrices,
                                            right.matrices, out.tensor, out.accumulate);
}

// The last two sizes of a shape behind leading ones.
Shape with_matrix(const Shape& leading, const Shape& matrix) {
  Shape shape = leading;
  for (int64_t d = matrix.rank() - 2; d < matrix.rank(); ++d) shape.push_back(matrix[d]);
  return shape;
}

Shape leading(const Shape& shape) { return Shape(std::span(shape.begin(), static_cast<size_t>(shape.rank() - 2))); }

// The product of stacks whose leading dimensions broadcast.
Tensor multiply_stacks(const char* name, const Tensor& a, const Tensor& b) {
  const Shape batch = broadcast_shapes(leading(a.shape()), leading(b.shape()), name);
  Tensor out = detail::allocate(with_matrix(batch, {a.size(-2), b.size(-1)}), a.dtype(), a.device());
  const auto spread = [batch](const Tensor& t) {
    NoGrad no_grad;
    return t.expand(with_matrix(batch, t.shape()));
  };
  multiply(spread(a), spread(b), {out, false});
  detail::record(name, out, {a, b}, [a = Saved(a), b = Saved(b), spread](Backward& back) {
    const Tensor left = spread(back.get(a)), right = spread(back.get(b));
    const auto give = [&](int input, const Tensor& x, const Tensor& y, const Shape& shape) {
      if (!back.wants(input)) return;
      if (back.shape(input) == shape) return multiply(x, y, back.into(input));
      const Tensor whole = detail::allocate(shape, x.dtype(), x.device());
      multiply(x, y, {whole, false});
      back.set(input, whole);
    };
    give(0, back.grad(), right.transpose(-2, -1), left.shape());
    give(1, left.transpose(-2, -1), back.grad(), right.shape());
  });
  return out;
}

Tensor multiply_matrices(const Tensor& a, const Tensor& b) {
  Tensor out = detail::allocate({a.size(0), b.size(1)}, a.dtype(), a.device());
  detail::gemm(a, false, b, false, {out, false});
  detail::record("matmul", out, {a, b}, [a = Saved(a), b = Saved(b)](Backward& back) {
    if (back.wants(0)) detail::gemm(back.grad(), false, back.get(b), true, back.into(0));
    if (back.wants(1)) detail::gemm(back.get(a), true, back.grad(), false, back.into(1));
  });
  return out;
}

void check_operands(const char* where, const Tensor& a, const Tensor& b) {
  detail::check_defined(where, {{"a", &a}, {"b", &b}});
  detail::check_same_device(where, {{"a", &a}, {"b", &b}});
  detail::check_same_dtype(where, {{"a", &a}, {"b", &b}});
  detail::check_floating(where, "a", a);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (detail::autocasts()) {
    const detail::CastScope cast("matmul", a);
    return matmul(cast.operand(a), cast.operand(b));
  }
  check_operands("matmul", a, b);
  if (a.rank() == 0 || b.rank() == 0 || a.size(-1) != b.size(b.rank() == 1 ? 0 : -2))
    throw ShapeError(
        fmt::format("matmul: {} and {} do not multiply, expected [..., m, k] and [..., k, n], or a vector "
                    "[k] on either side",
                    a.shape(), b.shape()));
  if (a.rank() == 1) {
    const Tensor product = matmul(a.unsqueeze(0), b);
    return b.rank() == 1 ? product.select(0, 0) : product.select(-2, 0);
  }
  if (b.rank() == 1) return matmul(a, b.unsqueeze(1)).select(-1, 0);
  if (a.rank() == 2 && b.rank() == 2) return multiply_matrices(a, b);
  if (b.rank() > 2 || a.numel() == 0) return multiply_stacks("matmul", a, b);
  // One matrix for all: the rows of the stack are those of one matrix.
  Shape result = a.shape();
  result[a.rank() - 1] = b.size(1);
  return multiply_matrices(a.reshape({-1, a.size(-1)}), b).reshape(result);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  if (detail::autocasts()) {
    const detail::CastScope cast("bmm", a);
    return bmm(cast.operand(a), cast.operand(b));
  }
  check_operands("bmm", a, b);
  if (a.rank() != 3 || b.rank() != 3 || a.size(0) != b.size(0) || a.size(2) != b.size(1))
    throw ShapeError(
        fmt::format("bmm: {} and {} do not multiply, expected [b, m, k] and [b, k, n]", a.shape(), b.shape()));
  return multiply_stacks("bmm", a, b);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  if (detail::autocasts() && a.defined() && b.defined()) {  // in the wider type of the two
    const DType type = promote_types(a.dtype(), b.dtype());
    const detail::AutocastOff off;
    return dot(a.to(type), b.to(type));
  }
  check_operands("dot", a, b);
  if (a.rank() != 1 || b.rank() != 1 || a.numel() != b.numel())
    throw ShapeError(fmt::format("dot: {} and {} do not multiply, expected two vectors [n]", a.shape(), b.shape()));
  return matmul(a, b);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  detail::check_defined("outer", {{"a", &a}, {"b", &b}});
  if (a.rank() != 1 || b.rank() != 1)
    throw ShapeError(
        fmt::format("outer: {} and {} do not multiply, expected two vectors [m] and [n]", a.shape(), b.shape()));
  return a.unsqueeze(1) * b.unsqueeze(0);
}

}  // namespace dnn
