// Matrix products: float32 through oneDNN's sgemm (BLAS in row-major order), float64 in blocked plain loops.
#include "core/kernels/linear.h"

#include <algorithm>
#include <atomic>

#include "core/cpu/convert.h"
#include "core/cpu/kernels.h"
#include "core/cpu/linear.h"
#include "core/cpu/onednn.h"
#include "core/functors.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"

namespace dnn::cpu {
namespace {

struct Sizes {
  int64_t m, n, k;
};

// A float64 matrix whose element (row, column) is data[row * row_stride + column * column_stride].
struct Matrix {
  Matrix(const Tensor& t, bool transposed)
      : data(static_cast<const double*>(detail::raw(t))),
        row_stride(transposed ? 1 : t.shape()[1]),
        column_stride(transposed ? t.shape()[1] : 1) {}
  Matrix(const double* first, const kernel::BatchedOperand& lie)
      : data(first), row_stride(lie.transposed ? 1 : lie.row), column_stride(lie.transposed ? lie.row : 1) {}
  const double* data;
  int64_t row_stride;
  int64_t column_stride;
};

// Each block of b is copied in row-major order before it is used, so that the inner loop walks along memory.
void gemm_float64(const Sizes& size, const Matrix& a, const Matrix& b, double* out, bool accumulate) {
  constexpr int64_t block_k = 64, block_n = 128;
  if (!accumulate) std::fill_n(out, size.m * size.n, 0.0);
  for (int64_t k0 = 0; k0 < size.k; k0 += block_k) {
    const int64_t depth = std::min(block_k, size.k - k0);
    for (int64_t n0 = 0; n0 < size.n; n0 += block_n) {
      const int64_t width = std::min(block_n, size.n - n0);
      double block[block_k * block_n];
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t j = 0; j < width; ++j) {
          block[k * block_n + j] = b.data[(k0 + k) * b.row_stride + (n0 + j) * b.column_stride];
        }
      }
#pragma omp parallel for schedule(static) if (size.m * width * depth > 1 << 16)
      for (int64_t i = 0; i < size.m; ++i) {
        double* const row = out + i * size.n + n0;
        for (int64_t k = 0; k < depth; ++k) {
          const double factor = a.data[i * a.row_stride + (k0 + k) * a.column_stride];
          const double* const block_row = block + k * block_n;
#pragma omp simd
          for (int64_t j = 0; j < width; ++j) row[j] += factor * block_row[j];
        }
      }
    }
  }
}

// One product of oneDNN's sgemm, all in row-major order.
void sgemm(const Sizes& size, const float* a, bool transpose_a, int64_t a_row, const float* b, bool transpose_b,
           int64_t b_row, bool accumulate, float* out) {
  DNN_ONEDNN(dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', size.m, size.n, size.k, 1.0f, a, a_row, b,
                        b_row, accumulate ? 1.0f : 0.0f, out, size.n));
}

// Whether b a^T is so much faster than a b^T that its transposition pays. sgemm copies a transposed right factor, the
// weight of a linear layer, piece by piece, and the few rows of a batch do not make up for that: with 32 rows, 1000
// columns and k = 4096 it reaches a fifth of what the other order does.
bool is_faster_transposed(const Sizes& size) {
  return size.m >= 16 && size.m <= 256 && size.m <= size.n / 4 && size.k >= 512;
}

// to [n, m] = from [m, n], or + from.
void transpose(const float* from, int64_t m, int64_t n, bool accumulate, float* to) {
  constexpr int64_t block = 16;
#pragma omp parallel for schedule(static) if (m * n > 1 << 15)
  for (int64_t j0 = 0; j0 < n; j0 += block) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = j0; j < std::min(j0 + block, n); ++j)
        to[j * m + i] = from[i * n + j] + (accumulate ? to[j * m + i] : 0.0f);
    }
  }
}

void gemm_float32(const Sizes& size, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                  const Tensor& out, bool accumulate) {
  float* const to = static_cast<float*>(detail::raw(out));
  if (size.k == 0) {
    if (!accumulate) std::fill_n(to, size.m * size.n, 0.0f);
    return;
  }
  const float *const left = static_cast<const float*>(detail::raw(a)), *const right =
                                                                           static_cast<float*>(detail::raw(b));
  const int64_t a_row = a.shape()[1], b_row = b.shape()[1];
  if (!transpose_a && transpose_b && is_faster_transposed(size)) {
    const Buffer product(size.n * size.m * static_cast<int64_t>(sizeof(float)));
    sgemm({size.n, size.m, size.k}, right, false, b_row, left, true, a_row, false, product.as<float>());
    return transpose(product.as<float>(), size.n, size.m, accumulate, to);
  }
  sgemm(size, left, transpose_a, a_row, right, transpose_b, b_row, accumulate, to);
}

// out = activation(out + bias + add) in one pass, of none and relu; null pointers are left out.
template <class T>
void finish(T* out, const T* bias, const T* add, Activation activation, int64_t m, int64_t n) {
  const bool relu = activation == Activation::relu;
#pragma omp parallel for schedule(static) if (m * n > 1 << 15)
  for (int64_t i = 0; i < m; ++i) {
    T* const row = out + i * n;
    if (bias != nullptr) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) row[j] += bias[j];
    }
    if (add != nullptr) {
      const T* const add_row = add + i * n;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) row[j] += add_row[j];
    }
    if (relu) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) row[j] = functor::Relu{}.forward(row[j]);
    }
  }
}

template <class T>
void finish(const Tensor& out, const Tensor& bias, const Tensor& add, Activation activation) {
  const auto pointer = [](const Tensor& t) { return t.defined() ? static_cast<T*>(detail::raw(t)) : nullptr; };
  finish<T>(pointer(out), pointer(bias), pointer(add), activation, out.shape()[0], out.shape()[1]);
}

// Where dot products keep up with sgemm, which packs its operands in every call, or are faster.
bool is_small(const Tensor& x, const Tensor& out) { return out.numel() * x.shape()[1] <= int64_t{1} << 22; }

}  // namespace

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& out, bool accumulate) {
  const Sizes size{out.shape()[0], out.shape()[1], a.shape()[transpose_a ? 0 : 1]};
  if (size.m == 0 || size.n == 0) return;
  if (out.dtype() == DType::float64) {
    return gemm_float64(size, Matrix(a, transpose_a), Matrix(b, transpose_b), static_cast<double*>(detail::raw(out)),
                        accumulate);
  }
  const Tensor result = float32_like(out, accumulate);
  gemm_float32(size, to_float32(a), transpose_a, to_float32(b), transpose_b, result, accumulate);
  round_to(result, out);
}

void gemm_batched(const kernel::BatchedGemm& problem, const Tensor& a, const Tensor& b, const Tensor& out,
                  bool accumulate) {
  const auto [batch, m, n, k, left, right] = problem;
  const int64_t step = m * n;
  // Many products share the threads; one large product has them for itself.
  [[maybe_unused]] const bool parallel = batch >= onednn::threads() && batch * m * n * (k + 1) > 1 << 14;
  if (out.dtype() == DType::float64) {
    const auto* const from_a = static_cast<const double*>(detail::raw(a));
    const auto* const from_b = static_cast<const double*>(detail::raw(b));
    auto* const to = static_cast<double*>(detail::raw(out));
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t i = 0; i < batch; ++i)
      gemm_float64({m, n, k}, Matrix(from_a + i * left.step, left), Matrix(from_b + i * right.step, right),
                   to + i * step, accumulate);
    return;
  }
  if (is_16bit(out)) {
    const Tensor result = float32_like(out, accumulate);
    gemm_batched({batch, m, n, k, {m * k, k}, {k * n, n}}, to_float32(a), to_float32(b), result, accumulate);
    return round_to(result, out);
  }
  const auto* const from_a = static_cast<const float*>(detail::raw(a));
  const auto* const from_b = static_cast<const float*>(detail::raw(b));
  auto* const to = static_cast<float*>(detail::raw(out));
  if (k == 0) {
    if (!accumulate) std::fill_n(to, batch * step, 0.0f);
    return;
  }
  std::atomic<dnnl_status_t> status = dnnl_success;  // nothing may be thrown inside of the threads
#pragma omp parallel for schedule(static) if (parallel)
  for (int64_t i = 0; i < batch; ++i) {
    const dnnl_status_t one =
        dnnl_sgemm(left.transposed ? 'T' : 'N', right.transposed ? 'T' : 'N', m, n, k, 1.0f, from_a + i * left.step,
                   left.row, from_b + i * right.step, right.row, accumulate ? 1.0f : 0.0f, to + i * step, n);
    if (one != dnnl_success) status = one;
  }
  onednn::check(status, "dnnl_sgemm", __FILE__, __LINE__);
}

void linear_fused(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& add, Activation activation,
                  const Tensor& out, const Tensor& before) {
  if (out.numel() == 0) return;
  const Tensor result = float32_like(out);
  if (out.dtype() == DType::float64) {
    gemm(x, false, weight, true, result, false);
    finish<double>(result, bias, add, activation);
  } else if (is_small(x, out)) {
    linear_small::forward(to_float32(x), to_float32(weight), to_float32(bias), to_float32(add), activation, result);
  } else {
    gemm(to_float32(x), false, to_float32(weight), true, result, false);
    finish<float>(result, to_float32(bias), to_float32(add), activation);
  }
  if (activation == Activation::gelu_tanh) {
    if (before.defined()) kernel::copy[Device::cpu()](result, before);
    kernel::unary_forward<functor::GeluTanh>[Device::cpu()](functor::GeluTanh{}, result, result);
  }
  round_to(result, out);
}

}  // namespace dnn::cpu
