// Copies between the host and a GPU through pinned memory.
//
// To the device: the bytes are copied into a pinned buffer and the call returns while the device still fetches them; a
// buffer is used again when its event says that they have arrived. Small pieces share a ring of 1 MiB buffers. A larger
// one, a batch of images say, gets a buffer of its own size out of at most three, which are kept from step to step: the
// host fills one while the device fetches another, and only waits when it is three batches ahead. To the host: piece by
// piece through the ring, the host copying one piece out while the device delivers the next.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <mutex>

namespace dnn::cuda {

class Staging {
 public:
  // Copies on the stream. Returns how often the host had to wait for a buffer: 0 unless it is far ahead of the device.
  int to_device(void* to, const void* from, int64_t bytes, cudaStream_t stream);
  // Waits until the bytes are there.
  void to_host(void* to, const void* from, int64_t bytes, cudaStream_t stream);
  // Gives the large buffers that are not in use back to the system.
  void release_large();

  static constexpr int64_t buffer_bytes = int64_t{1} << 20;
  static constexpr int buffer_count = 8;
  static constexpr int64_t large_limit = int64_t{1} << 27;  // what is larger goes in pieces of that size
  static constexpr int large_count = 3;

 private:
  struct Buffer {
    void* data = nullptr;
    int64_t bytes = 0;
    cudaEvent_t event = nullptr;  // behind the last use
    uint64_t turn = 0;            // number of the last use
  };

  Buffer& next();
  Buffer* large(int64_t bytes, int& waits);
  bool resize(Buffer& buffer, int64_t bytes);
  void fill(Buffer& buffer, char* to, const char* from, int64_t bytes, cudaStream_t stream);

  std::mutex mutex_;
  std::array<Buffer, buffer_count> ring_;  // made on first use
  std::array<Buffer, large_count> large_;
  int turn_ = 0;
  uint64_t large_turn_ = 0;
};

}  // namespace dnn::cuda
