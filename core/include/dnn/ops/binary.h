// Element-wise operations of two tensors, broadcast against each other as in NumPy, types promoted as in PyTorch.
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

}  // namespace dnn
