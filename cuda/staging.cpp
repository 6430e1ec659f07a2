// Pinned buffers in turn.
#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/check.h"

namespace dnn::cuda {

Staging::Buffer& Staging::next() {
  Buffer& buffer = buffers_[static_cast<size_t>(turn_)];
  if (buffer.event == nullptr) DNN_CUDA_CHECK(cudaEventCreateWithFlags(&buffer.event, cudaEventDisableTiming));
  if (buffer.data == nullptr) DNN_CUDA_CHECK(cudaMallocHost(&buffer.data, buffer_bytes));
  turn_ = (turn_ + 1) % buffer_count;
  return buffer;
}

int Staging::to_device(void* to, const void* from, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  int waits = 0;
  for (int64_t done = 0; done < bytes; done += buffer_bytes) {
    Buffer& buffer = next();
    const cudaError_t state = cudaEventQuery(buffer.event);
    if (state == cudaErrorNotReady) {
      ++waits;
      DNN_CUDA_CHECK(cudaEventSynchronize(buffer.event));
    } else {
      DNN_CUDA_CHECK(state);
    }
    const auto size = static_cast<size_t>(std::min(buffer_bytes, bytes - done));
    std::memcpy(buffer.data, static_cast<const char*>(from) + done, size);
    DNN_CUDA_CHECK(cudaMemcpyAsync(static_cast<char*>(to) + done, buffer.data, size, cudaMemcpyHostToDevice, stream_));
    DNN_CUDA_CHECK(cudaEventRecord(buffer.event, stream_));
  }
  return waits;
}

void Staging::to_host(void* to, const void* from, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  Buffer* arriving = nullptr;
  int64_t done = 0;
  const auto take_out = [&](int64_t end) {
    DNN_CUDA_CHECK(cudaEventSynchronize(arriving->event));
    std::memcpy(static_cast<char*>(to) + done, arriving->data, static_cast<size_t>(end - done));
    done = end;
  };
  for (int64_t asked = 0; asked < bytes;) {
    Buffer& buffer = next();
    const int64_t size = std::min(buffer_bytes, bytes - asked);
    // The stream itself keeps the order with an upload that still reads from this buffer.
    DNN_CUDA_CHECK(cudaMemcpyAsync(buffer.data, static_cast<const char*>(from) + asked, static_cast<size_t>(size),
                                   cudaMemcpyDeviceToHost, stream_));
    DNN_CUDA_CHECK(cudaEventRecord(buffer.event, stream_));
    if (arriving != nullptr) take_out(asked);
    arriving = &buffer;
    asked += size;
  }
  if (arriving != nullptr) take_out(bytes);
}

}  // namespace dnn::cuda
