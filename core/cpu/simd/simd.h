// The element-wise, reduction, loss, optimizer and copy kernels of the CPU: loops that the compiler vectorises.
//
// Every loop is written once, in the headers of this folder, and compiled at least twice: baseline.cpp with the
// compiler's default instruction set, avx2.cpp with AVX2 and FMA, avx512_*.cpp with AVX-512 where that pays. Each
// defines DNN_SIMD_VARIANT and gets all of it in a namespace of that name. Whatever the headers call must be inlined or
// live in that namespace: an ordinary inline function that avx2.cpp emits could be the copy that the linker keeps for
// the whole program, and crash an older machine. A test looks for such symbols. Code that throws or owns memory
// therefore stands in support.cpp, code that owns tensors in by_float.cpp.
#pragma once

#include "core/kernels/loss.h"
#include "core/kernels/pool.h"
#include "core/kernels/recurrent.h"
#include "core/kernels/reduce.h"
#include "dnn/dtype.h"

namespace dnn::cpu {

// Fill every slot of this folder; avx2 needs a CPU with AVX2 and FMA, avx512 one with AVX-512 F, BW, DQ and VL.
void install_baseline();
void install_avx2();
void install_avx512();

// The last variant that this CPU can run.
enum class SimdVariant { baseline, avx2, avx512 };
SimdVariant best_variant();
void install_simd(SimdVariant variant);

[[noreturn]] void throw_no_kernel(const char* name, DType dtype);
[[noreturn]] void throw_bad_label(int64_t label, int64_t position, int64_t classes);

// Memory for intermediate results from the allocator of tensors, zero at first or anything; throws OutOfMemory.
enum class ScratchContent { zeros, anything };
void* allocate_scratch(int64_t bytes, ScratchContent content);
void release_scratch(void* data, int64_t bytes) noexcept;

template <class T>
class Scratch {
 public:
  [[gnu::always_inline]] explicit Scratch(int64_t count, ScratchContent content = ScratchContent::zeros)
      : bytes_(count * static_cast<int64_t>(sizeof(T))), data_(static_cast<T*>(allocate_scratch(bytes_, content))) {}
  [[gnu::always_inline]] ~Scratch() { release_scratch(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[gnu::always_inline]] T* data() const { return data_; }

 private:
  int64_t bytes_;
  T* data_;
};

// For 16-bit types: the slot of that name, between conversions to and from float32.
void softmax_forward_by_float(const Tensor& x, const kernel::ReduceShape& shape, bool logarithm, const Tensor& y);
void softmax_backward_by_float(const Tensor& grad, const Tensor& y, const kernel::ReduceShape& shape, bool logarithm,
                               const Tensor& out, bool accumulate);
void cross_entropy_forward_by_float(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                                    const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums);
void cross_entropy_reduced_by_float(const Tensor& logits, const Tensor& labels, const kernel::CrossEntropyRule& rule,
                                    double scale, const kernel::CrossEntropyTotals& out);
void cross_entropy_backward_by_float(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                                     const kernel::CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out,
                                     bool accumulate);
void reduce_extremum_by_float(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which,
                              const Tensor& values, const Tensor& indices);
void max_pool2d_backward_by_float(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& winners,
                                  const Tensor& grad_input, bool accumulate);
void avg_pool2d_backward_by_float(const kernel::PoolProblem& p, const Tensor& grad_output, const Tensor& grad_input,
                                  bool accumulate);
void recurrent_forward_by_float(const kernel::RecurrentProblem& p, const kernel::RecurrentTensors& t,
                                const Tensor& c_n);
void recurrent_backward_by_float(const kernel::RecurrentProblem& p, const kernel::RecurrentTensors& t,
                                 const Tensor& grad_y, const Tensor& grad_c_n, const kernel::RecurrentGradients& out);

}  // namespace dnn::cpu
