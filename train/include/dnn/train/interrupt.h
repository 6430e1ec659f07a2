// Ctrl-C: a signal that asks a loop to end, instead of killing the program.
#pragma once

namespace dnn {

/// While one lives, the first SIGINT or SIGTERM only raises a flag, and the next one acts as it would have without it;
/// the handlers from before come back at once with the first signal, and at the end of the outermost `Interrupt`. A
/// signal that the program ignores (nohup) stays ignored.
///
/// It takes the signals on a stack of its own (sigaltstack), of the thread that makes it. Handlers of a program's own
/// have to do the same with SA_ONSTACK: in the CPU's matrix products the stack pointer may point into the heap.
///
///   Interrupt interrupt;
///   for (const Batch& batch : loader) {
///     ...
///     if (interrupt.requested()) break;
///   }
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Whether a signal has come since the outermost `Interrupt` was made.
  bool requested() const;
};

}  // namespace dnn
