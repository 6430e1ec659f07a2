// The choice of a variant of the vectorised kernels, their errors and memory, compiled for the baseline.
#include <fmt/format.h>

#include <cstring>

#include "core/cpu/allocator.h"
#include "core/cpu/simd/simd.h"
#include "dnn/error.h"

namespace dnn::cpu {

SimdVariant best_variant() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return SimdVariant::baseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return wide ? SimdVariant::avx512 : SimdVariant::avx2;
#else
  return SimdVariant::baseline;
#endif
}

void install_simd(SimdVariant variant) {
  switch (variant) {
    case SimdVariant::baseline: return install_baseline();
    case SimdVariant::avx2: return install_avx2();
    case SimdVariant::avx512: return install_avx512();
  }
}

void throw_no_kernel(const char* name, DType dtype) {
  throw DTypeError(fmt::format("{}: no cpu kernel for {}", name, name_of(dtype)));
}

void throw_bad_label(int64_t label, int64_t position, int64_t classes) {
  throw IndexError(
      fmt::format("cross_entropy: label {} at position {}, expected 0 <= label < {}", label, position, classes));
}

void* allocate_scratch(int64_t bytes, ScratchContent content) {
  void* const data = allocator().allocate(bytes, Purpose::workspace);
  if (content == ScratchContent::zeros && bytes > 0) std::memset(data, 0, static_cast<size_t>(bytes));
  return data;
}

void release_scratch(void* data, int64_t bytes) noexcept { allocator().release(data, bytes, Purpose::workspace); }

}  // namespace dnn::cpu
