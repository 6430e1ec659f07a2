// The machine behind the emulator's CUDA runtime: its memory with guard bands, its streams and events, its failures.
//
// A stream is a queue. Work runs when somebody waits or asks (or at once under HostAccess), never when it is given, so
// that host code which reads or frees too early is caught. Streams know each other by events alone: a stream that
// should wait for another one and does not gets wrong data, in one order of the streams or the other (`Streams`).
// Device memory is filled with 0xff when handed out and lies between guard bands, checked after each kernel and on
// release. A failure stays pending until a call reports it.
//
// While a stream is captured, what is given to it becomes the nodes of a graph instead; a launch of the graph gives it
// copies of them. Calls that wait, or that CUDA forbids the capturing thread, return CUDA's errors and spoil the
// capture.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "tests/simt/simt.h"

namespace dnn::simt {

struct Event {
  int device = 0;  // the current one when it was made
  Stream* stream = nullptr;
  uint64_t recorded = 0;   // number of recordings given to streams
  uint64_t completed = 0;  // the last of them that a stream has reached
  bool timed = false;
  double seconds = 0;     // when it was reached
  bool captured = false;  // recorded last in a stream that was being captured
};

struct Work {
  std::string name;  // empty for events
  std::function<void()> run;
  Event* awaited = nullptr;  // runs when the event has reached that recording,
  uint64_t recording = 0;
  Stream* source = nullptr;  // which was given to that stream
};

struct Graph {
  std::vector<Work> nodes;
};
struct GraphExec : Graph {};

// A capture that has begun and not ended.
struct Capture {
  std::unique_ptr<Graph> graph;
  std::thread::id thread;
  bool valid = true;
};

struct Stream {
  int device = 0;
  std::deque<Work> work;
  std::unique_ptr<Capture> capture = nullptr;
};

struct Block {
  size_t bytes = 0;
  bool pinned = false;
};

struct Runtime {
  std::recursive_mutex mutex;
  Machine machine;
  Order order = Order::forward;
  uint64_t seed = 1;
  Streams order_of_streams = Streams::lazy;
  std::mt19937_64 random;  // for it
  Counters counters;
  std::set<std::string> executed;
  std::map<unsigned char*, Block> blocks;
  int64_t memory_in_use = 0, pinned_in_use = 0;
  std::vector<Stream*> streams;  // in the order of their first work
  std::string pending;           // a failure that no call has reported yet
  std::string failure;           // the last one, for cudaGetErrorString
  int host_access = 0;
  bool lost = false;
  bool tracing = false;
  std::vector<std::string> trace;
  bool counting_traffic = false;
  std::map<std::string, int64_t> traffic;
  std::vector<std::string> ranges;
  int open_ranges = 0;
};

Runtime& state();
extern thread_local cudaStreamCaptureMode thread_capture_mode;
using Lock = std::lock_guard<std::recursive_mutex>;

void note_failure(const std::string& what);
// The error for a call to return: of a lost device, or a failure that no call has reported yet.
cudaError_t report_failure();

cudaError_t take_memory(void** data, size_t bytes, bool pinned);
cudaError_t give_memory(void* data, bool pinned);

// Makes the stream one of those that `drain` knows.
void note_stream(Stream* stream);
void enqueue(Stream* stream, Work work);
// The work of a library: done at once, the host waiting for the stream, unless the stream is being captured. Pointers
// among the arguments say which memory it touches.
void perform(Stream* stream, const char* name, std::span<const std::byte> arguments, std::function<void()> run);
// For `take_traffic`: the blocks of device memory that pointers among the arguments point into, or so many bytes.
void note_traffic(const std::string& name, std::span<const std::byte> arguments);
void note_traffic(const std::string& name, size_t bytes);
// The bytes of a struct of pointers, for the two above.
template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}
// Whether this thread captures in a mode that forbids what might wait; then the capture is spoiled.
bool forbidden_by_capture();
// Runs all work of a stream.
void finish(Stream* stream);
// Runs the event's stream up to a recording of the event.
void finish(Event* event, uint64_t recording);

// The readable name of a kernel; to be called with the lock held.
std::string demangled(const void* function);

}  // namespace dnn::simt
