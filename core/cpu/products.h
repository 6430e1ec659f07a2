// Products of matrices that are parts of larger ones, for kernels that own no tensors.
#pragma once

#include <cstdint>

namespace dnn::cpu {

// A matrix in memory: rows `stride` elements apart; the product takes it transposed when the flag is set.
template <class T>
struct Rows {
  const T* data;
  int64_t stride;
  bool transposed = false;
};

// out [m, n] = a [m, k] b [k, n] (+ out when `accumulate`), the rows of out being `stride` elements apart. float32 runs
// through oneDNN's sgemm, float64 in plain loops. k = 0 gives zeros (or leaves out).
void product(int64_t m, int64_t n, int64_t k, const Rows<float>& a, const Rows<float>& b, float* out, int64_t stride,
             bool accumulate);
void product(int64_t m, int64_t n, int64_t k, const Rows<double>& a, const Rows<double>& b, double* out, int64_t stride,
             bool accumulate);

}  // namespace dnn::cpu
