// Runs a kernel: block after block, the threads of a block one at a time, in an order of the caller's choice.
//
// A fiber takes thread after thread of the block. As long as none reaches a barrier, nothing is ever switched and a
// thread costs a function call; a thread that reaches one parks its fiber, and another fiber takes the next thread.
// When no thread can go on, the barriers that are complete release their threads. A program that needs a barrier and
// lacks it gives other results in other orders, since a thread runs from barrier to barrier before the next one starts.
//
// Reported as Failure: a thread that returned while others wait at a barrier, barriers in different places, lanes
// missing from a warp's exchange, a shuffle from a lane that takes no part, writes behind shared arrays.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "tests/simt/fiber.h"
#include "tests/simt/simt.h"

namespace dnn::simt {

// What a kernel did wrong.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Launch {
  std::string name;
  unsigned blocks = 1;
  unsigned threads = 1;
  std::function<void()> thread;
};

class Engine {
 public:
  static Engine& instance();

  // Runs all blocks; throws Failure, which leaves the engine usable.
  void run(const Launch& launch, Order order, uint64_t seed);

  // For the running thread.
  void block_barrier(const Place& place);
  void warp_barrier(unsigned mask, uint64_t value, const Place& place);
  uint64_t warp_value(unsigned lane, const Place& place);
  void* shared_array(const void* key, size_t bytes);

 private:
  enum class State { fresh, running, at_warp_barrier, at_block_barrier, released, finished };
  struct Thread {
    State state = State::fresh;
    Fiber* fiber = nullptr;
    Place place;
    unsigned mask = 0;
    uint64_t values[2] = {};  // handed over at warp barriers, alternately: the last one may still be read
    unsigned exchanges = 0;   // passed warp barriers
  };
  struct SharedArray {
    std::vector<unsigned char> bytes;  // the array, then a guard band
    size_t size = 0;
    uint64_t block = 0;
  };

  static void serve(void* engine);
  void run_block();
  void run_warp(unsigned first);
  void resume(Fiber* fiber);
  bool take_thread();
  void park(State state, const Place& place);
  bool release();
  bool warp_complete(unsigned index) const;
  std::string why_stuck() const;
  void check_shared() const;
  void enter(unsigned index);
  std::vector<unsigned> permutation(unsigned n);
  [[noreturn]] void fail(const std::string& what) const;

  const Launch* launch_ = nullptr;
  Order order_ = Order::forward;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::vector<Thread> threads_;
  std::vector<unsigned> sequence_;  // of the fresh threads of the warp
  size_t next_ = 0;                 // position of the first fresh thread in it
  unsigned current_ = 0;
  Fiber* fiber_ = nullptr;  // the one that runs
  std::map<const void*, SharedArray> shared_;
  uint64_t block_serial_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace dnn::simt
