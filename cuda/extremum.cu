// Maximum and minimum with their first positions, and the gradient, which goes to that position alone.
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/reduction.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// NaN beats every number, and of equals the first wins.
template <class T>
struct ExtremumOp {
  using Value = std::conditional_t<sizeof(Compute<T>) < 4, int32_t, Compute<T>>;
  // Without padding, whose bytes would be anything.
  struct State {
    Value value;
    std::conditional_t<sizeof(Value) == 8, int64_t, int32_t> found;
    int64_t position;
  };
  static constexpr int width = 1;

  const T* x;
  T* values;         // null: not wanted
  int64_t* indices;  // null: not wanted
  bool largest;

  __device__ State neutral() const { return {Value(0), 0, 0}; }
  __device__ State operator()(const State& a, const State& b) const {
    if (a.found == 0 || b.found == 0) return a.found != 0 ? a : b;
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan ? a : b;
    if (!a_nan && a.value != b.value) return (a.value > b.value) == largest ? a : b;
    return a.position < b.position ? a : b;
  }
  __device__ State fold(const State& state, int64_t row, int64_t n, int64_t i) const {
    return (*this)(state, element(row * n + i, i));
  }
  __device__ State element(int64_t offset, int64_t position) const {
    return {static_cast<Value>(x[offset]), 1, position};
  }
  __device__ void store(int64_t index, const State& state) const {
    if (values != nullptr) values[index] = static_cast<T>(state.value);
    if (indices != nullptr) indices[index] = state.position;
  }
};

void reduce_extremum(const Tensor& x, const kernel::ReduceShape& shape, kernel::Extremum which, const Tensor& values,
                     const Tensor& indices) {
  visit_numbers(x.dtype(), [&]<class T>(T) {
    reduce(
        Context::of(x), shape,
        ExtremumOp<T>{elements<T>(x), elements<T>(values), elements<int64_t>(indices), which == kernel::Extremum::max});
  });
}

template <class T>
__global__ void extremum_backward_kernel(const T* grad, const int64_t* indices, kernel::ReduceShape shape, T* out) {
  for (const auto i : grid_stride(shape.outer * shape.n * shape.inner)) {
    const int64_t result = i / (shape.n * shape.inner) * shape.inner + i % shape.inner;
    out[i] = indices[result] == i / shape.inner % shape.n ? grad[result] : T(0);
  }
}

void reduce_extremum_backward(const Tensor& grad, const Tensor& indices, const kernel::ReduceShape& shape,
                              const Tensor& out) {
  visit_floating(out.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    launch(extremum_backward_kernel<T>, context.grid(out.numel()), context, elements<T>(grad),
           elements<int64_t>(indices), shape, elements<T>(out));
  });
}

}  // namespace dnn::cuda
