// The emulator's stand-in for NVTX: it keeps the ranges.
#include "cuda/nvtx.h"

#include <utility>

#include "tests/simt/machine.h"

namespace dnn::cuda {

void push_range(const char* name) {
  const simt::Lock lock(simt::state().mutex);
  simt::state().ranges.push_back(name);
  ++simt::state().open_ranges;
}

void pop_range() {
  const simt::Lock lock(simt::state().mutex);
  --simt::state().open_ranges;
}

}  // namespace dnn::cuda

namespace dnn::simt {

Ranges take_ranges() {
  const Lock lock(state().mutex);
  return {std::exchange(state().ranges, {}), state().open_ranges};
}

}  // namespace dnn::simt
