// The ranges through NVTX, which is headers alone and finds the tool by itself.
#include "cuda/nvtx.h"

#include <nvtx3/nvToolsExt.h>

namespace dnn::cuda {

void push_range(const char* name) { nvtxRangePushA(name); }
void pop_range() { nvtxRangePop(); }

}  // namespace dnn::cuda
