// Stacks, switches, and what the address sanitizer wants to know about them.
#include "tests/simt/fiber.h"

#include <sys/mman.h>

#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace dnn::simt {

namespace {

namespace context = boost::context::detail;

constexpr size_t guard_bytes = 4096;
constexpr size_t stack_bytes = 128 * 1024;

#ifdef __SANITIZE_ADDRESS__
void start_switch(void** fake_stack, const void* stack, size_t size) {
  __sanitizer_start_switch_fiber(fake_stack, stack, size);
}
void finish_switch(void* fake_stack, const void** stack, size_t* size) {
  __sanitizer_finish_switch_fiber(fake_stack, stack, size);
}
void forget_frames(void* stack, size_t size) { __asan_unpoison_memory_region(stack, size); }
#else
void start_switch(void**, const void*, size_t) {}
void finish_switch(void*, const void**, size_t*) {}
void forget_frames(void*, size_t) {}
#endif

char* stack_of(void* memory) { return static_cast<char*>(memory) + guard_bytes; }

}  // namespace

Fiber::Fiber(void (*run)(void*), void* argument) : run_(run), argument_(argument) {
  memory_ = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory_, guard_bytes, PROT_NONE);
  restart();
}

Fiber::~Fiber() {
  forget_frames(stack_of(memory_), stack_bytes);
  munmap(memory_, guard_bytes + stack_bytes);
}

void Fiber::restart() {
  forget_frames(stack_of(memory_), stack_bytes);
  inside_ = context::make_fcontext(stack_of(memory_) + stack_bytes, stack_bytes, entry);
  fake_stack_ = nullptr;
}

void Fiber::entry(context::transfer_t from) {
  auto* self = static_cast<Fiber*>(from.data);
  finish_switch(nullptr, &self->caller_stack_, &self->caller_size_);
  self->outside_ = from.fctx;
  self->run_(self->argument_);
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  start_switch(&fake_stack, stack_of(memory_), stack_bytes);
  const context::transfer_t back = context::jump_fcontext(inside_, this);
  finish_switch(fake_stack, nullptr, nullptr);
  inside_ = back.fctx;
}

void Fiber::leave() {
  start_switch(&fake_stack_, caller_stack_, caller_size_);
  const context::transfer_t back = context::jump_fcontext(outside_, nullptr);
  finish_switch(fake_stack_, &caller_stack_, &caller_size_);
  outside_ = back.fctx;
}

}  // namespace dnn::simt
