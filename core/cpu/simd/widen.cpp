// Kernels for 16-bit types by way of float32: convert, compute, convert back, so that every result is rounded once.
//
// This takes memory and time, but those types are for GPUs; instantiated for them, the kernels would be twice as large.
#include "core/cpu/simd/simd.h"
#include "core/kernels/copy.h"
#include "core/storage.h"

namespace dnn::cpu {
namespace {

constexpr Device device = Device::cpu();

Tensor room_for(const Tensor& t) { return detail::allocate(t.shape(), DType::float32, device); }

Tensor widen(const Tensor& t) {
  const Tensor wide = room_for(t);
  kernel::copy[device](t, wide);
  return wide;
}

void narrow(const Tensor& wide, const Tensor& t) { kernel::copy[device](wide, t); }

}  // namespace

void softmax_forward_by_float(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y) {
  const Tensor wide_y = room_for(y);
  kernel::softmax_forward[device](widen(x), shape, logarithm, wide_y);
  narrow(wide_y, y);
}

void softmax_backward_by_float(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                               const Tensor& out, bool accumulate) {
  const Tensor wide_out = accumulate ? widen(out) : room_for(out);
  kernel::softmax_backward[device](widen(grad), widen(y), shape, logarithm, wide_out, accumulate);
  narrow(wide_out, out);
}

void cross_entropy_forward_by_float(const Tensor& logits, const Tensor& labels, const Tensor& losses,
                                    const Tensor& log_sums) {
  const Tensor wide_losses = room_for(losses);
  kernel::cross_entropy_forward[device](widen(logits), labels, wide_losses, log_sums);
  narrow(wide_losses, losses);
}

void cross_entropy_backward_by_float(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                     const Tensor& log_sums, const Tensor& out, bool accumulate) {
  const Tensor wide_out = accumulate ? widen(out) : room_for(out);
  kernel::cross_entropy_backward[device](widen(grad), scale, widen(logits), labels, log_sums, wide_out, accumulate);
  narrow(wide_out, out);
}

void reduce_extremum_by_float(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which,
                              const Tensor& values, const Tensor& indices) {
  const Tensor wide_values = values.defined() ? room_for(values) : Tensor();
  kernel::reduce_extremum[device](widen(x), shape, which, wide_values, indices);
  if (values.defined()) narrow(wide_values, values);
}

}  // namespace dnn::cpu
