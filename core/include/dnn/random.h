// Random numbers: one counter-based generator, the same on every device and with any number of threads.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps (seed, counter) to four
// 32-bit words, so element i of a random tensor depends on the seed and i alone.
#pragma once

#include <array>
#include <cstdint>

#include "dnn/float16.h"

namespace dnn {

/// Four 32-bit random words for one 64-bit seed and one 128-bit counter (`stream`, `counter`).
DNN_HD constexpr std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t counter);

/// A stream of random numbers: a seed and how far it has been used. Copy it to keep a state, assign it to restore one.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  /// Number of operations drawn so far.
  uint64_t offset() const { return offset_; }
  /// Restores a state read from `seed` and `offset`.
  void set_state(uint64_t seed, uint64_t offset) { seed_ = seed, offset_ = offset; }
  /// Reserves a stream of its own for one operation and returns its number; element i of the operation uses word
  /// i % 4 of `philox(seed, stream, i / 4)`.
  uint64_t next_stream() { return offset_++; }

  /// One 32-bit word, for host code.
  uint32_t next_word() { return philox(seed_, next_stream(), 0)[0]; }
  /// Uniform in [0, 1).
  double uniform() { return (next_word() >> 8) * 0x1p-24; }
  /// Uniform integer in [0, bound) without bias; `bound` must be positive.
  uint64_t below(uint64_t bound);
  /// Normal with mean 0 and deviation 1 (Box-Muller).
  double normal();

 private:
  uint64_t seed_ = 0;
  uint64_t offset_ = 0;
};

/// The generator of this thread that dropout and the random factories draw from.
Generator& default_generator();

/// Restarts the default generator from a seed.
void manual_seed(uint64_t seed);

namespace detail {

// While it lives, the default generator of this thread is another one.
class GeneratorScope {
 public:
  explicit GeneratorScope(const Generator& generator) { default_generator() = generator; }
  ~GeneratorScope() { default_generator() = before_; }
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

 private:
  Generator before_ = default_generator();
};

}  // namespace detail

DNN_HD constexpr std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
  uint32_t c2 = static_cast<uint32_t>(stream), c3 = static_cast<uint32_t>(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

}  // namespace dnn
