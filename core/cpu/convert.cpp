// Stand-ins for 16-bit tensors, by way of the copy kernel.
#include "core/cpu/convert.h"

#include "core/kernels/copy.h"

namespace dnn::cpu {

bool is_16bit(const Tensor& t) { return t.defined() && (t.dtype() == DType::float16 || t.dtype() == DType::bfloat16); }

Tensor to_float32(const Tensor& t) { return float32_like(t, true); }

Tensor float32_like(const Tensor& t, bool keep) {
  if (!is_16bit(t)) return t;
  Tensor result = detail::allocate(t.shape(), DType::float32, t.device());
  if (keep) kernel::copy[t.device()](t, result);
  return result;
}

void round_to(const Tensor& stand_in, const Tensor& t) {
  if (is_16bit(t)) kernel::copy[t.device()](stand_in, t);
}

}  // namespace dnn::cpu
