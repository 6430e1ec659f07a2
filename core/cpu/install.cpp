// Fills the CPU's runtime table and kernel slots.
#include <algorithm>
#include <cstring>

#include "core/cpu/allocator.h"
#include "core/cpu/kernels.h"
#include "core/cpu/onednn.h"
#include "core/cpu/packed_weights.h"
#include "core/cpu/simd/simd.h"
#include "core/kernels/copy.h"
#include "core/kernels/linear.h"
#include "core/kernels/runtime.h"

namespace dnn::cpu {
namespace {

const char* name_of(SimdVariant variant) {
  switch (variant) {
    case SimdVariant::avx512: return "AVX-512";
    case SimdVariant::avx2: return "AVX2 and FMA";
    case SimdVariant::baseline: break;
  }
  return "baseline";
}

// Besides the allocator's blocks, what the kernels keep to be faster next time.
void release_all_cached(int) {
  {
    const std::lock_guard lock(onednn::mutex());
    packed_weights().clear();
  }
  allocator().release_cached();
}

void describe(SystemReport& report) {
  report.cpu = {.kernels = name_of(best_variant()),
                .threads = std::max(1, onednn::threads()),
                .onednn = onednn::version(),
                .instructions = onednn::instructions()};
}

void install_runtime() {
  detail::DeviceRuntime& table = detail::runtime_table(DeviceType::cpu);
  table.device_count = [] { return 1; };
  table.why_unavailable = [] { return std::string(); };
  table.allocate = [](int64_t bytes, int) { return allocator().allocate(bytes); };
  table.release = [](void* data, int64_t bytes, int) noexcept { allocator().release(data, bytes); };
  table.copy = [](void* to, Device, const void* from, Device, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  };
  table.synchronize = [](int) {};
  table.host_waits = [](int) { return int64_t{0}; };
  table.memory_stats = [](int) { return allocator().stats(); };
  table.reset_peak = [](int) { allocator().reset_peak(); };
  table.release_cached = release_all_cached;
  table.describe = describe;
}

template <class Slot, class Function>
void fill(Slot& slot, Function function) {
  slot.set(DeviceType::cpu, function);
}

}  // namespace

void install() {
  install_runtime();
  install_simd(best_variant());

  fill(kernel::conv2d_layout, conv2d_layout);
  fill(kernel::conv2d_forward, conv2d_forward);
  fill(kernel::conv2d_fused, conv2d_fused);
  fill(kernel::conv2d_backward_data, conv2d_backward_data);
  fill(kernel::conv2d_backward_weight, conv2d_backward_weight);
  fill(kernel::gemm, gemm);
  fill(kernel::gemm_batched, gemm_batched);
  fill(kernel::linear_fused, linear_fused);
  fill(kernel::relayout, relayout);
  fill(kernel::augment, augment);
  fill(kernel::gather, gather);
  fill(kernel::scatter, scatter);
  fill(kernel::nonzero, nonzero);
  fill(kernel::dynamic_slice, dynamic_slice);
  fill(kernel::sort, sort);
  fill(kernel::cumsum, cumsum);
}

}  // namespace dnn::cpu
