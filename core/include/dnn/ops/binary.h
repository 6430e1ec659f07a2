// Element-wise operations of two tensors, broadcast against each other as in NumPy, types promoted as in PyTorch. The
// operators +=, -=, *= and /= change their left side in place.
#pragma once

#include "dnn/tensor.h"

namespace dnn {

/// a + b. Throws ShapeError when the shapes do not broadcast, DeviceError when the devices differ.
Tensor add(const Tensor& a, const Tensor& b);
/// a - b. Throws like `add`.
Tensor sub(const Tensor& a, const Tensor& b);
/// a * b. Throws like `add`.
Tensor mul(const Tensor& a, const Tensor& b);
/// a / b; integers give float32. Throws like `add`.
Tensor div(const Tensor& a, const Tensor& b);
/// a + b for a number.
Tensor add(const Tensor& a, Scalar b);
/// a - b for a number.
Tensor sub(const Tensor& a, Scalar b);
/// a - b for a number on the left.
Tensor sub(Scalar a, const Tensor& b);
/// a * b for a number.
Tensor mul(const Tensor& a, Scalar b);
/// a / b for a number.
Tensor div(const Tensor& a, Scalar b);
/// a / b for a number on the left.
Tensor div(Scalar a, const Tensor& b);

/// a to the power of b; integers give integers, wrapping around, 0 for fractions. The derivative is 0 by a where b is
/// 0, and by b where a is 0 and b is not negative. Throws like `add`.
Tensor pow(const Tensor& a, const Tensor& b);
/// a^b for a number; an integer tensor to a number with a fraction gives float32. Throws ArgumentError for an integer
/// tensor to a negative integer.
Tensor pow(const Tensor& a, Scalar b);
/// a^b for a number on the left.
Tensor pow(Scalar a, const Tensor& b);
/// The larger one, NaN when either is NaN; equal ones share the gradient. Throws like `add`.
Tensor maximum(const Tensor& a, const Tensor& b);
/// The smaller one; like `maximum`.
Tensor minimum(const Tensor& a, const Tensor& b);
/// a - b * floor(a / b), which has the sign of b (Python's %). Throws like `add`; ArgumentError for an integer division
/// by zero, so integers on a GPU are waited for.
Tensor remainder(const Tensor& a, const Tensor& b);
/// The remainder for a number.
Tensor remainder(const Tensor& a, Scalar b);
/// floor(a / b), not differentiable; integers stay integers. Throws like `remainder`.
Tensor floor_divide(const Tensor& a, const Tensor& b);
/// floor(a / b) for a number.
Tensor floor_divide(const Tensor& a, Scalar b);
/// The angle of the point (b, a) in radians, from -pi to pi; integers give float32. Throws like `add`.
Tensor atan2(const Tensor& a, const Tensor& b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, Scalar b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, Scalar b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, Scalar b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, Scalar b) { return div(a, b); }
inline Tensor operator+(Scalar a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(Scalar a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(Scalar a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(Scalar a, const Tensor& b) { return div(a, b); }
Tensor operator-(const Tensor& x);

inline Tensor& operator+=(Tensor& a, const Tensor& b) { return a.add_(b); }
inline Tensor& operator-=(Tensor& a, const Tensor& b) { return a.sub_(b); }
inline Tensor& operator*=(Tensor& a, const Tensor& b) { return a.mul_(b); }
inline Tensor& operator/=(Tensor& a, const Tensor& b) { return a.div_(b); }
inline Tensor& operator+=(Tensor& a, Scalar b) { return a.add_(b); }
inline Tensor& operator-=(Tensor& a, Scalar b) { return a.sub_(b); }
inline Tensor& operator*=(Tensor& a, Scalar b) { return a.mul_(b); }
inline Tensor& operator/=(Tensor& a, Scalar b) { return a.div_(b); }

}  // namespace dnn
