// What a test program on the emulator does first.
#pragma once

namespace dnn::simt {

// Installs the backend. DNN_SIMT_ORDER names the order of the threads ("every" when it is not set); the caching
// allocator is off, so that each tensor is a block of its own between guard bands.
void setup();

}  // namespace dnn::simt
