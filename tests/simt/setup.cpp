// The emulated GPU, made ready for tests.
#include "tests/simt/setup.h"

#include <cstdlib>
#include <string>

#include "core/kernels/runtime.h"
#include "cuda/context.h"
#include "tests/simt/simt.h"

namespace dnn::simt {

void setup() {
  setenv("DNN_PLAN_CACHE", "0", 1);  // no test finds what another one chose
  const char* order = std::getenv("DNN_SIMT_ORDER");
  set_order(std::string(order != nullptr ? order : "every"));
  detail::ensure_installed();
  cuda::Context::of(0).memory().set_caching(false);
  detail::runtime_table(DeviceType::cuda).why_incapable = nullptr;  // cuDNN and cuBLASLt are not needed here
}

}  // namespace dnn::simt
