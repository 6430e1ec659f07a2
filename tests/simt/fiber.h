// A fiber: a stack of its own on which the threads of a block run and can be parked in the middle.
//
// Built on Boost.Context's fcontext, which switches in a few nanoseconds. The sanitizers are told of every switch.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace dnn::simt {

class Fiber {
 public:
  // `run` is called with `argument` on the fiber's stack at the first `resume`; it must not return.
  Fiber(void (*run)(void* argument), void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Goes on where the fiber left off, until it calls `leave`. Called from outside.
  void resume();
  // Goes back to the caller of `resume`. Called on the fiber.
  void leave();
  // Forgets what the fiber was doing: the next `resume` starts anew. What stands on its stack is not destroyed.
  void restart();

 private:
  static void entry(boost::context::detail::transfer_t from);

  void (*run_)(void*);
  void* argument_;
  void* memory_;  // a guard page, then the stack
  boost::context::detail::fcontext_t inside_ = nullptr;
  boost::context::detail::fcontext_t outside_ = nullptr;
  void* fake_stack_ = nullptr;  // of the address sanitizer, while parked
  const void* caller_stack_ = nullptr;
  size_t caller_size_ = 0;
};

}  // namespace dnn::simt
