// Copies between the host and a GPU through pinned memory.
//
// To the device: the bytes are copied into one of a few pinned buffers and the call returns while the device still
// fetches them; a buffer is used again when its event says that they have arrived. To the host: piece by piece through
// the same buffers, the host copying one piece out while the device delivers the next.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <mutex>

namespace dnn::cuda {

class Staging {
 public:
  explicit Staging(cudaStream_t stream) : stream_(stream) {}

  // Returns how often the host had to wait for a buffer: 0 unless several large copies follow each other.
  int to_device(void* to, const void* from, int64_t bytes);
  // Waits until the bytes are there.
  void to_host(void* to, const void* from, int64_t bytes);

  static constexpr int64_t buffer_bytes = int64_t{1} << 20;
  static constexpr int buffer_count = 8;

 private:
  struct Buffer {
    void* data = nullptr;
    cudaEvent_t event = nullptr;
  };

  Buffer& next();

  cudaStream_t stream_;
  std::mutex mutex_;
  std::array<Buffer, buffer_count> buffers_;  // made on first use
  int turn_ = 0;
};

}  // namespace dnn::cuda
