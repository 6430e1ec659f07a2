// A kernel slot: a named table of functions of one signature, one per kind of device.
//
// `cpu::install` and `cuda::install` fill the slots; an operation calls `kernel::gemm[x.device()](...)`. An empty slot
// throws: there is no silent fall-back to another device. Slots are constant-initialised, so nothing runs before main.
#pragma once

#include <array>

#include "dnn/device.h"

namespace dnn::kernel {

[[noreturn]] void throw_empty_slot(const char* name, Device device);

template <class Signature>
class Slot;

template <class... Args>
class Slot<void(Args...)> {
 public:
  using Function = void (*)(Args...);

  constexpr explicit Slot(const char* name) : name_(name) {}

  // The kernel of a device; throws DeviceError when there is none.
  Function operator[](Device device) const {
    const Function function = functions_[static_cast<size_t>(device.type())];
    if (function == nullptr) throw_empty_slot(name_, device);
    return function;
  }

  bool filled(Device device) const { return functions_[static_cast<size_t>(device.type())] != nullptr; }
  void set(DeviceType type, Function function) { functions_[static_cast<size_t>(type)] = function; }
  const char* name() const { return name_; }

 private:
  const char* name_;
  std::array<Function, device_type_count> functions_{};
};

}  // namespace dnn::kernel
