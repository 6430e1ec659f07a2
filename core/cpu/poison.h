// Marks memory that nobody may touch, for AddressSanitizer; without it nothing happens.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_poison_memory_region(const volatile void* data, size_t bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* data, size_t bytes);
#endif

namespace dnn::cpu {

#ifdef __SANITIZE_ADDRESS__
inline void poison(const void* data, int64_t bytes) { __asan_poison_memory_region(data, static_cast<size_t>(bytes)); }
inline void unpoison(const void* data, int64_t bytes) {
  __asan_unpoison_memory_region(data, static_cast<size_t>(bytes));
}
#else
inline void poison(const void*, int64_t) {}
inline void unpoison(const void*, int64_t) {}
#endif

}  // namespace dnn::cpu
