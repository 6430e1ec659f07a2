// The emulator's controls, for tests: orders of threads, counters, simulated devices, memory and faults.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dnn::simt {

// The order in which the threads of a block, and the blocks of a grid, run between barriers.
enum class Order {
  forward,
  backward,
  shuffled,  // another order at every barrier
  every,     // all three one after another from the same memory; it is a failure when the results differ in a bit
};
void set_order(Order order, uint64_t seed = 1);
// "forward", "backward", "shuffled", "shuffled:SEED" or "every"; throws std::invalid_argument.
void set_order(const std::string& text);

// How streams overtake each other, as far as events let them, when somebody waits for one of them.
enum class Streams {
  lazy,      // only what the awaited work needs
  ahead,     // before each piece of the awaited work, all others run as far as they can
  shuffled,  // piece by piece, of any stream that can go on
};
void set_streams(Streams streams, uint64_t seed = 1);

// The machine that the runtime pretends to have.
struct Machine {
  int devices = 2;
  int driver = 13000;  // version of the driver, 0 when there is none
  int major = 9, minor = 0;
  int multiprocessors = 2;  // few, so that grid-stride loops go round
  int64_t memory = int64_t{1} << 32;
  int64_t pinned = int64_t{1} << 30;  // host memory for cudaMallocHost
  bool slow = false;  // streams do not finish by themselves: cudaEventQuery says "not ready" until somebody waits
};
void set_machine(const Machine& machine);

struct Counters {
  int64_t launches = 0;     // not those of graphs
  int64_t waits = 0;        // calls that block the host
  int64_t allocations = 0;  // cudaMalloc
  int64_t live_blocks = 0;  // not yet freed
  int64_t graph_launches = 0;
  int64_t graph_nodes = 0;  // given to streams by them
  int64_t live_graphs = 0;  // instantiated and not destroyed
};
Counters counters();

// From now on every call that touches a GPU returns cudaErrorIllegalAddress, and work given to streams is dropped.
void lose_device();
// A working GPU again, as in a new process.
void repair_device();

// Notes what streams run, in its order, from now until `take_trace`: names of kernels, "upload", "download", "copy" and
// "fill".
void start_trace();
std::vector<std::string> take_trace();

// The bytes that kernels, libraries, copies and fills move from now until `take_traffic`, by their names: every block
// of device memory that an argument of a launch points into counts once, whether it is read, written or both. A block
// is one tensor's on GPU 0, whose allocator does not cache here.
void start_traffic();
std::map<std::string, int64_t> take_traffic();

// Names of all kernels that ran, without namespace and template arguments.
std::set<std::string> executed_kernels();

// The ranges opened since the last call, and how many are open.
struct Ranges {
  std::vector<std::string> names;
  int open = 0;
};
Ranges take_ranges();

// Runs all work given to any stream.
void drain();
// The text of the last failure of a kernel or a guard band, which the CUDA calls report as cudaErrorUnknown;
// empty when there was none since the last call.
std::string take_failure();

// While it lives, device memory may be touched by the host: streams are empty and run new work at once.
class HostAccess {
 public:
  HostAccess();
  ~HostAccess();
  HostAccess(const HostAccess&) = delete;
  HostAccess& operator=(const HostAccess&) = delete;
};

}  // namespace dnn::simt
