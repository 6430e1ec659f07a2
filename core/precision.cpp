// The switches for TF32, for the algorithm of Winograd and for sums in any order, and the names of precisions.
#include "dnn/precision.h"

#include <atomic>

#include "core/text.h"
#include "dnn/error.h"

namespace dnn {

namespace {
std::atomic<Tf32> current{Tf32{}};
std::atomic<bool> winograd{true};
std::atomic<bool> nondeterminism{false};
}  // namespace

void allow_tf32(const Tf32& allowed) { current = allowed; }
Tf32 tf32_allowed() { return current; }

void allow_winograd(bool allowed) { winograd = allowed; }
bool winograd_allowed() { return winograd; }

void allow_nondeterminism(bool allowed) { nondeterminism = allowed; }
bool nondeterminism_allowed() { return nondeterminism; }

const char* name_of(Arithmetic precision) {
  switch (precision) {
    case Arithmetic::float32: return "float32";
    case Arithmetic::tf32: return "tf32";
    case Arithmetic::bfloat16: return "bfloat16";
    case Arithmetic::float16: return "float16";
  }
  return "?";
}

Arithmetic arithmetic_of(const std::string& name) {
  for (const Arithmetic p : {Arithmetic::float32, Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::float16})
    if (name == name_of(p)) return p;
  if (name == "fp32") return Arithmetic::float32;
  if (name == "bf16") return Arithmetic::bfloat16;
  if (name == "fp16") return Arithmetic::float16;
  throw ArgumentError(
      fmt::format("precision is '{}', expected float32 (fp32), tf32, bfloat16 (bf16) or float16 (fp16)", name));
}

void check_precision(Arithmetic precision, Device device) {
  if (device.is_cpu() && precision != Arithmetic::float32)
    throw DeviceError(
        fmt::format("precision {} is there on GPUs alone, expected float32 on a CPU", name_of(precision)));
}

DType autocast_dtype(Arithmetic precision) {
  switch (precision) {
    case Arithmetic::bfloat16: return DType::bfloat16;
    case Arithmetic::float16: return DType::float16;
    default: return DType::float32;
  }
}

}  // namespace dnn
