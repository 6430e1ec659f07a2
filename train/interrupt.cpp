// The handler only stores to a lock-free flag and puts the handlers from before back, which POSIX allows inside one. It
// runs on a stack of its own: the kernels of oneDNN's matrix products let the stack pointer point to the beginning of
// their workspace, where the frame of a signal would overwrite whatever the heap holds before it.
#include "dnn/train/interrupt.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mutex>

namespace dnn {
namespace {

constexpr std::array<int, 2> signals{SIGINT, SIGTERM};

std::atomic<bool> requested_flag{false};
static_assert(std::atomic<bool>::is_always_lock_free);

std::mutex mutex;  // of `living`, and of installing and removing
int living = 0;
std::array<struct sigaction, signals.size()> before;

extern "C" void dnn_on_interrupt(int) {
  const int error = errno;
  requested_flag.store(true);
  for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before[i], nullptr);
  errno = error;
}

bool is_ours(const struct sigaction& action) {
  return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == dnn_on_interrupt;
}

bool is_ignored(const struct sigaction& action) {
  return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
}

// The stack on which a thread takes signals; one that it has already is kept.
class SignalStack {
 public:
  SignalStack() {
    stack_t now{};
    if (::sigaltstack(nullptr, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return;
    memory_ = std::make_unique<std::byte[]>(size);
    stack_t ours{};
    ours.ss_sp = memory_.get();
    ours.ss_size = size;
    ::sigaltstack(&ours, nullptr);
  }
  ~SignalStack() {
    stack_t now{};
    if (!memory_ || ::sigaltstack(nullptr, &now) != 0 || now.ss_sp != memory_.get()) return;
    now.ss_flags = SS_DISABLE;
    ::sigaltstack(&now, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  static constexpr size_t size = 64 * 1024;  // a frame with all registers of AVX-512 and AMX has about 12 KiB
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace

Interrupt::Interrupt() {
  static thread_local SignalStack stack;  // of the thread that trains, until it ends
  const std::lock_guard lock(mutex);
  if (living++ > 0) return;
  requested_flag.store(false);
  for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], nullptr, &before[i]);
  struct sigaction ours {};
  ours.sa_handler = dnn_on_interrupt;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;  // system calls of others are not to fail
  ::sigemptyset(&ours.sa_mask);
  for (const int signal : signals) ::sigaddset(&ours.sa_mask, signal);
  for (size_t i = 0; i < signals.size(); ++i)
    if (!is_ignored(before[i])) ::sigaction(signals[i], &ours, nullptr);
}

Interrupt::~Interrupt() {
  const std::lock_guard lock(mutex);
  if (--living > 0) return;
  for (size_t i = 0; i < signals.size(); ++i) {
    struct sigaction now {};
    ::sigaction(signals[i], nullptr, &now);
    if (is_ours(now)) ::sigaction(signals[i], &before[i], nullptr);  // else it is back already, or somebody else's
  }
}

bool Interrupt::requested() const { return requested_flag.load(); }

}  // namespace dnn
