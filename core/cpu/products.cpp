// Products of parts of matrices.
#include "core/cpu/products.h"

#include <algorithm>

#include "core/cpu/onednn.h"

namespace dnn::cpu {
namespace {

template <class T>
void clear(int64_t m, int64_t n, T* out, int64_t stride) {
  for (int64_t i = 0; i < m; ++i) std::fill_n(out + i * stride, n, T(0));
}

}  // namespace

void product(int64_t m, int64_t n, int64_t k, const Rows<float>& a, const Rows<float>& b, float* out, int64_t stride,
             bool accumulate) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) clear(m, n, out, stride);
    return;
  }
  DNN_ONEDNN(dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.0f, a.data, a.stride, b.data,
                        b.stride, accumulate ? 1.0f : 0.0f, out, stride));
}

void product(int64_t m, int64_t n, int64_t k, const Rows<double>& a, const Rows<double>& b, double* out, int64_t stride,
             bool accumulate) {
  if (!accumulate) clear(m, n, out, stride);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t l = 0; l < k; ++l) {
      const double factor = a.transposed ? a.data[l * a.stride + i] : a.data[i * a.stride + l];
      for (int64_t j = 0; j < n; ++j)
        out[i * stride + j] += factor * (b.transposed ? b.data[j * b.stride + l] : b.data[l * b.stride + j]);
    }
  }
}

}  // namespace dnn::cpu
