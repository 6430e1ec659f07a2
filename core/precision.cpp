// The switch for TF32.
#include "dnn/precision.h"

#include <atomic>

namespace dnn {

namespace {
std::atomic<Tf32> current{Tf32{}};
}

void allow_tf32(const Tf32& allowed) { current = allowed; }
Tf32 tf32_allowed() { return current; }

}  // namespace dnn
