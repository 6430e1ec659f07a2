// The kernels of this folder for CPUs with AVX-512: those that gain by vectors of 64 bytes, the others as for AVX2.
#include "core/cpu/simd/simd.h"

namespace dnn::cpu {

namespace avx512 {
void install_layers();     // in avx512_layers.cpp
void install_recurrent();  // in install_recurrent.h
}  // namespace avx512

void install_avx512() {
  install_avx2();
  avx512::install_layers();
  avx512::install_recurrent();
}

}  // namespace dnn::cpu
