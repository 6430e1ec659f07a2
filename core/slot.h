// A kernel slot: a named table of functions of one signature, one per kind of device.
//
// `cpu::install` and `cuda::install` fill the slots; an operation calls `kernel::gemm[x.device()](...)`. An empty slot
// throws: there is no silent fall-back to another device. Slots are constant-initialised, so nothing runs before main.
//
// A call is what a profiler counts as one operation, and an entry in the trace of a captured step. Its bytes are those
// of its tensors; kernels that multiply, or write what they read, have a class that says what comes to that from the
// arguments:
//
//   struct ConvWork { template <class... Rest> detail::Work operator()(const ConvProblem& p, const Rest&...) const; };
//   conv2d_forward.set_work(ConvWork{});  // in kernels/work.cpp
//
// Not where the slot is defined: the function would be compiled in every file that sees it, those for AVX2 included,
// and the linker keeps one of them for all machines.
#pragma once

#include <array>
#include <concepts>
#include <type_traits>

#include "core/capture.h"
#include "core/profile.h"
#include "dnn/device.h"

namespace dnn::kernel {

[[noreturn]] void throw_empty_slot(const char* name, Device device);

// Calls `set_work` of all slots that have such a class.
void install_work();

// What the calls of a slot are: a kernel at work, or a question, such as which layout is the fastest, that a profiler
// does not count.
enum class SlotKind { work, question };

template <class Signature>
class Slot;

template <class... Args>
class Slot<void(Args...)> {
 public:
  using Function = void (*)(Args...);

  // A kernel of a device, to be called.
  class Kernel {
   public:
    void operator()(Args... args) const {
      if (detail::may_observe()) [[unlikely]]
        return observed(args...);
      function_(args...);
    }
    Function function() const { return function_; }

   private:
    friend class Slot;
    Kernel(const Slot& slot, Device device, Function function) : slot_(slot), device_(device), function_(function) {}

    void observed(Args... args) const {
      if (const detail::RecordedCall recorded; recorded) {
        detail::TraceHash hash(*recorded);
        (hash.add(args), ...);
        recorded->operation(slot_.name_, device_, hash.value());
        return profiled(args...);
      }
      profiled(args...);
    }

    void profiled(Args... args) const {
      if (slot_.kind_ == SlotKind::question) return function_(args...);
      detail::ProfiledCall call(slot_.name_, device_);
      if (call) {
        (call.add(args), ...);
        if (slot_.work_ != nullptr) call.add(slot_.work_(args...));
        call.begin();
      }
      function_(args...);
      if (!refused(args...)) call.finish();
    }
    // Whether the kernel says by a bool among its arguments that it has done nothing.
    static bool refused(const Args&... args) {
      const auto says_no = [](const auto& argument) {
        if constexpr (std::is_same_v<std::decay_t<decltype(argument)>, bool*>)
          return !*argument;
        else
          return false;
      };
      return (says_no(args) || ...);
    }

    const Slot& slot_;
    Device device_;
    Function function_;
  };

  constexpr explicit Slot(const char* name, SlotKind kind = SlotKind::work) : name_(name), kind_(kind) {}

  // The kernel of a device; throws DeviceError when there is none.
  Kernel operator[](Device device) const {
    const Function function = functions_[static_cast<size_t>(device.type())];
    if (function == nullptr) throw_empty_slot(name_, device);
    return Kernel(*this, device, function);
  }

  bool filled(Device device) const { return functions_[static_cast<size_t>(device.type())] != nullptr; }
  void set(DeviceType type, Function function) { functions_[static_cast<size_t>(type)] = function; }
  const char* name() const { return name_; }
  template <std::invocable<Args...> W>
  void set_work(W) {
    work_ = &work<W>;
  }

 private:
  template <class W>
  static detail::Work work(Args... args) {
    return W{}(args...);
  }

  const char* name_;
  SlotKind kind_;
  detail::Work (*work_)(Args...) = nullptr;
  std::array<Function, device_type_count> functions_{};
};

}  // namespace dnn::kernel
