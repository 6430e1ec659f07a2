// The switches for TF32 and for the algorithm of Winograd.
#include "dnn/precision.h"

#include <atomic>

namespace dnn {

namespace {
std::atomic<Tf32> current{Tf32{}};
std::atomic<bool> winograd{true};
}

void allow_tf32(const Tf32& allowed) { current = allowed; }
Tf32 tf32_allowed() { return current; }

void allow_winograd(bool allowed) { winograd = allowed; }
bool winograd_allowed() { return winograd; }

}  // namespace dnn
