// What a test program on the emulator does first.
#pragma once

#include <string>
#include <vector>

namespace dnn::simt {

// Fills the slots of the emulated GPU: its own kernels, and those of the CPU where the real backend uses a library.
// DNN_SIMT_ORDER names the order of the threads ("every" when it is not set); the caching allocator is off, so that
// each tensor is a block of its own between guard bands.
void setup();

// Names of the slots that `setup` gave to the CPU's kernels.
const std::vector<std::string>& slots_of_cpu_kernels();

}  // namespace dnn::simt
