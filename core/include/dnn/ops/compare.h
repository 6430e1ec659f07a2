// Questions about elements, answered by tensors of bool, and the choice between two tensors by such answers.
//
// Two operands are broadcast and their types promoted as in binary.h; ShapeError and DeviceError are thrown as there.
// Bools have no gradient.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// a == b, element by element.
Tensor eq(const Tensor& a, const Tensor& b);
/// a == b for a number.
Tensor eq(const Tensor& a, Scalar b);
/// a != b, element by element.
Tensor ne(const Tensor& a, const Tensor& b);
/// a != b for a number.
Tensor ne(const Tensor& a, Scalar b);
/// a < b, element by element.
Tensor lt(const Tensor& a, const Tensor& b);
/// a < b for a number.
Tensor lt(const Tensor& a, Scalar b);
/// a <= b, element by element.
Tensor le(const Tensor& a, const Tensor& b);
/// a <= b for a number.
Tensor le(const Tensor& a, Scalar b);
/// a > b, element by element.
Tensor gt(const Tensor& a, const Tensor& b);
/// a > b for a number.
Tensor gt(const Tensor& a, Scalar b);
/// a >= b, element by element.
Tensor ge(const Tensor& a, const Tensor& b);
/// a >= b for a number.
Tensor ge(const Tensor& a, Scalar b);
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return ge(a, b); }
inline Tensor operator==(const Tensor& a, Scalar b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, Scalar b) { return ne(a, b); }
inline Tensor operator<(const Tensor& a, Scalar b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, Scalar b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, Scalar b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, Scalar b) { return ge(a, b); }
inline Tensor operator==(Scalar a, const Tensor& b) { return eq(b, a); }
inline Tensor operator!=(Scalar a, const Tensor& b) { return ne(b, a); }
inline Tensor operator<(Scalar a, const Tensor& b) { return gt(b, a); }
inline Tensor operator<=(Scalar a, const Tensor& b) { return ge(b, a); }
inline Tensor operator>(Scalar a, const Tensor& b) { return lt(b, a); }
inline Tensor operator>=(Scalar a, const Tensor& b) { return le(b, a); }

/// Whether both are not 0; NaN is not 0.
Tensor logical_and(const Tensor& a, const Tensor& b);
/// Whether at least one is not 0.
Tensor logical_or(const Tensor& a, const Tensor& b);
/// Whether exactly one is not 0.
Tensor logical_xor(const Tensor& a, const Tensor& b);
/// Whether x is 0.
Tensor logical_not(const Tensor& x);
/// Whether x is NaN; integers never are.
Tensor isnan(const Tensor& x);
/// Whether x is an infinity of either sign.
Tensor isinf(const Tensor& x);
/// Whether x is neither an infinity nor NaN.
Tensor isfinite(const Tensor& x);

/// a where `condition` (bool) holds, b elsewhere, all three broadcast; a gradient goes to the one that was chosen.
/// Throws DTypeError when the condition is not bool.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
/// The same with a number for b, which promotes as in binary operations.
Tensor where(const Tensor& condition, const Tensor& a, Scalar b);
/// The same with a number for a.
Tensor where(const Tensor& condition, Scalar a, const Tensor& b);
/// The same with two numbers: int64 when both are integers, else float32.
Tensor where(const Tensor& condition, Scalar a, Scalar b);
/// x with `value`, converted to x's type, where `mask` (bool) holds; both are broadcast. Throws like `where`.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);

}  // namespace dnn
