// The handler only stores to a lock-free flag and puts the handlers from before back, which POSIX allows inside one.
#include "dnn/train/interrupt.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
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

}  // namespace

Interrupt::Interrupt() {
  const std::lock_guard lock(mutex);
  if (living++ > 0) return;
  requested_flag.store(false);
  for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], nullptr, &before[i]);
  struct sigaction ours {};
  ours.sa_handler = dnn_on_interrupt;
  ours.sa_flags = SA_RESTART;  // system calls of others are not to fail
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
