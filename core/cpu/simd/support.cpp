// Errors and memory of the vectorised kernels, compiled for the baseline.
#include <fmt/format.h>

#include <cstring>

#include "core/cpu/allocator.h"
#include "core/cpu/simd/simd.h"
#include "dnn/error.h"

namespace dnn::cpu {

void throw_no_kernel(const char* name, DType dtype) {
  throw DTypeError(fmt::format("{}: no cpu kernel for {}", name, name_of(dtype)));
}

void throw_bad_label(int64_t label, int64_t position, int64_t classes) {
  throw IndexError(
      fmt::format("cross_entropy: label {} at position {}, expected 0 <= label < {}", label, position, classes));
}

void* allocate_scratch(int64_t bytes) {
  void* const data = allocator().allocate(bytes, Purpose::workspace);
  if (bytes > 0) std::memset(data, 0, static_cast<size_t>(bytes));
  return data;
}

void release_scratch(void* data, int64_t bytes) noexcept { allocator().release(data, bytes, Purpose::workspace); }

}  // namespace dnn::cpu
