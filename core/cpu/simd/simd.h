// The element-wise, reduction, loss, optimizer and copy kernels of the CPU: loops that the compiler vectorises.
//
// Every loop is written once, in the headers of this folder, and compiled twice: baseline.cpp with the compiler's
// default instruction set, avx2.cpp with AVX2 and FMA. Each defines DNN_SIMD_VARIANT and gets all of it in a namespace
// of that name. Whatever the headers call must be inlined or live in that namespace: an ordinary inline function that
// avx2.cpp emits could be the copy that the linker keeps for the whole program, and crash an older machine. A test
// looks for such symbols. Code that throws therefore stands in errors.cpp, code that owns tensors in widen.cpp.
#pragma once

#include "core/kernels/reduce.h"
#include "dnn/dtype.h"

namespace dnn::cpu {

// Fill every slot of this folder; avx2 needs a CPU with AVX2 and FMA.
void install_baseline();
void install_avx2();

[[noreturn]] void throw_no_kernel(const char* name, DType dtype);
[[noreturn]] void throw_bad_label(int64_t label, int64_t position, int64_t classes);

// For 16-bit types: the slot of that name, between conversions to and from float32.
void softmax_forward_by_float(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y);
void softmax_backward_by_float(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                               const Tensor& out, bool accumulate);
void cross_entropy_forward_by_float(const Tensor& logits, const Tensor& labels, const Tensor& losses,
                                    const Tensor& log_sums);
void cross_entropy_backward_by_float(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                     const Tensor& log_sums, const Tensor& out, bool accumulate);
void reduce_extremum_by_float(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which,
                              const Tensor& values, const Tensor& indices);

}  // namespace dnn::cpu
