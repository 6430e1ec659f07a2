// The kernels of functor::Activations; see unary.cuh.
#include "cuda/unary.cuh"

namespace dnn::cuda {

void install_activation() { install_unary_list(functor::Activations{}); }

}  // namespace dnn::cuda
