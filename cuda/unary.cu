// The kernels of functor::Unary; see unary.cuh.
#include "cuda/unary.cuh"

namespace dnn::cuda {

void install_unary() { install_unary_list(functor::Unary{}); }

}  // namespace dnn::cuda
