// The CPU's kernels in slots of the emulated GPU: its memory is the host's, so they run on it as they are.
#include "tests/simt/setup.h"

#include <cstdlib>

#include "core/kernels/all.h"
#include "core/kernels/runtime.h"
#include "cuda/context.h"
#include "tests/simt/simt.h"

namespace dnn::simt {

namespace {

std::vector<std::string>& borrowed() {
  static std::vector<std::string> names;
  return names;
}

// The CPU's kernel of a slot, called when all work of the emulated GPU is done.
template <auto& slot, class... Args>
void on_host(Args... args) {
  const HostAccess access;
  slot[Device::cpu()](args...);
}

template <auto& slot, class... Args>
void use_cpu_kernel(kernel::Slot<void(Args...)>&) {
  if (slot.filled(Device::cuda()) || !slot.filled(Device::cpu())) return;
  slot.set(DeviceType::cuda, on_host<slot, Args...>);
  borrowed().push_back(slot.name());
}

template <auto&... slots>
void use_cpu_kernels() {
  (use_cpu_kernel<slots>(slots), ...);
}

}  // namespace

const std::vector<std::string>& slots_of_cpu_kernels() { return borrowed(); }

void setup() {
  const char* order = std::getenv("DNN_SIMT_ORDER");
  set_order(std::string(order != nullptr ? order : "every"));
  detail::ensure_installed();
  cuda::Context::of(0).memory().set_caching(false);
  use_cpu_kernels<kernel::gemm, kernel::gemm_batched, kernel::linear_fused>();
  detail::runtime_table(DeviceType::cuda).why_incapable = nullptr;  // cuDNN and cuBLASLt are not needed here
}

}  // namespace dnn::simt
