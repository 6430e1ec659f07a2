// Products, norms and the other folds over dimensions, and their gradients.
#include "core/folds.h"
#include "cuda/dispatch.h"
#include "cuda/index.cuh"
#include "cuda/kernels.h"
#include "cuda/reduction.cuh"
#include "cuda/vector.cuh"

namespace dnn::cuda {

// The fold is chosen for each element: beside the reading that costs nothing, and one kernel serves all.
template <class T, class Out>
struct FoldOp {
  static constexpr bool fractional = std::is_floating_point_v<T>;
  using State = std::conditional_t<fractional, double, uint64_t>;
  static constexpr int width = Pack<T>::width;

  const T* x;
  Out* out;
  kernel::FoldRule rule;

  template <class Body>
  __device__ State with_fold(const Body& body) const {
    if constexpr (fractional)
      return folds::visit_fractional(rule.fold, body);
    else
      return folds::visit_whole(rule.fold, body);
  }
  __device__ State neutral() const {
    return with_fold([](auto fold) { return folds::neutral<decltype(fold)::value, State>(); });
  }
  __device__ State operator()(const State& a, const State& b) const {
    return with_fold([&](auto fold) { return folds::join<decltype(fold)::value, State>(a, b); });
  }
  __device__ State fold(const State& state, int64_t row, int64_t n, int64_t i) const {
    const Pack<T> pack = load_vec(x + row * n, i, n);
    return with_fold([&](auto fold) {
      State result = state;
      for (int k = 0; k < width; ++k) {
        if (i * width + k < n)
          result = folds::join<decltype(fold)::value, State>(
              result, folds::map<decltype(fold)::value, State>(pack.values[k], rule));
      }
      return result;
    });
  }
  __device__ State element(int64_t offset, int64_t) const {
    return with_fold([&](auto fold) { return folds::map<decltype(fold)::value, State>(x[offset], rule); });
  }
  __device__ void store(int64_t index, const State& state) const {
    out[index] = static_cast<Out>(
        with_fold([&](auto fold) { return folds::finish<decltype(fold)::value, State>(state, rule); }));
  }
};

void reduce_fold(const Tensor& x, const kernel::ReduceShape& shape, const kernel::FoldRule& rule, const Tensor& out) {
  visit_types<float, double, int64_t, int32_t, uint8_t, bool>(x.dtype(), [&]<class T>(T) {
    using Number = std::conditional_t<std::is_floating_point_v<T>, T, int64_t>;
    visit_types<Number, bool>(out.dtype(), [&]<class Out>(Out) {
      reduce(Context::of(out), shape, FoldOp<T, Out>{elements<T>(x), elements<Out>(out), rule});
    });
  });
}

template <class T>
__global__ void fold_backward_kernel(kernel::FoldRule rule, const T* grad, const T* x, const T* result, const T* count,
                                     kernel::ReduceShape shape, T* out) {
  for (const auto i : grid_stride(shape.outer * shape.n * shape.inner)) {
    const int64_t of = i / (shape.n * shape.inner) * shape.inner + i % shape.inner;
    const T zeros = count == nullptr ? T(0) : count[of];
    out[i] = grad[of] * folds::visit_fractional(rule.fold, [&](auto fold) {
               return folds::slope<decltype(fold)::value, T>(x[i], result[of], zeros, rule);
             });
  }
}

void reduce_fold_backward(const kernel::FoldRule& rule, const Tensor& grad, const Tensor& x, const Tensor& result,
                          const Tensor& count, const kernel::ReduceShape& shape, const Tensor& out) {
  visit_types<float, double>(x.dtype(), [&]<class T>(T) {
    Context& context = Context::of(out);
    launch(fold_backward_kernel<T>, context.grid(out.numel()), context, rule, elements<T>(grad), elements<T>(x),
           elements<T>(result), elements<T>(count), shape, elements<T>(out));
  });
}

}  // namespace dnn::cuda
