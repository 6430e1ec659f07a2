// Pinned buffers in turn.
#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/check.h"

namespace dnn::cuda {

namespace {

// The host fills a large buffer in such pieces, so that the device begins to fetch while the rest is still being
// copied.
constexpr int64_t piece_bytes = int64_t{1} << 22;

bool ready(cudaEvent_t event) {
  if (event == nullptr) return true;
  const cudaError_t state = cudaEventQuery(event);
  if (state == cudaErrorNotReady) return false;
  DNN_CUDA_CHECK(state);
  return true;
}

// Waits for the event if it must; 1 if it did.
int wait_for(cudaEvent_t event) {
  if (ready(event)) return 0;
  DNN_CUDA_CHECK(cudaEventSynchronize(event));
  return 1;
}

}  // namespace

Staging::Buffer& Staging::next() {
  Buffer& buffer = ring_[static_cast<size_t>(turn_)];
  if (buffer.event == nullptr) DNN_CUDA_CHECK(cudaEventCreateWithFlags(&buffer.event, cudaEventDisableTiming));
  if (buffer.data == nullptr) {
    DNN_CUDA_CHECK(cudaMallocHost(&buffer.data, buffer_bytes));
    buffer.bytes = buffer_bytes;
  }
  turn_ = (turn_ + 1) % buffer_count;
  return buffer;
}

// The best buffer for that many bytes, ready to be filled: one that is idle and large enough, else a new one, else the
// one that was used the longest ago. Null when the system has no pinned memory of that size.
Staging::Buffer* Staging::large(int64_t bytes, int& waits) {
  Buffer* best = nullptr;
  for (Buffer& buffer : large_) {
    if (buffer.bytes < bytes || !ready(buffer.event)) continue;
    if (best == nullptr || buffer.bytes < best->bytes) best = &buffer;
  }
  if (best == nullptr) {
    const auto unused_first = [](const Buffer& a, const Buffer& b) { return a.turn < b.turn; };
    best = &*std::min_element(large_.begin(), large_.end(), unused_first);
    waits += wait_for(best->event);
    if (best->bytes < bytes && !resize(*best, bytes)) return nullptr;
  }
  best->turn = ++large_turn_;
  return best;
}

bool Staging::resize(Buffer& buffer, int64_t bytes) {
  if (buffer.event == nullptr) DNN_CUDA_CHECK(cudaEventCreateWithFlags(&buffer.event, cudaEventDisableTiming));
  if (buffer.data != nullptr) DNN_CUDA_CHECK(cudaFreeHost(buffer.data));
  buffer.data = nullptr;
  buffer.bytes = 0;
  void* data = nullptr;
  const int64_t size = std::min(large_limit, (bytes + buffer_bytes - 1) / buffer_bytes * buffer_bytes);
  const cudaError_t error = cudaMallocHost(&data, static_cast<size_t>(size));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the ring serves as well, more slowly
    return false;
  }
  DNN_CUDA_CHECK(error);
  buffer.data = data;
  buffer.bytes = size;
  return true;
}

void Staging::fill(Buffer& buffer, char* to, const char* from, int64_t bytes, cudaStream_t stream) {
  for (int64_t done = 0; done < bytes; done += piece_bytes) {
    const auto size = static_cast<size_t>(std::min(piece_bytes, bytes - done));
    char* pinned = static_cast<char*>(buffer.data) + done;
    std::memcpy(pinned, from + done, size);
    DNN_CUDA_CHECK(cudaMemcpyAsync(to + done, pinned, size, cudaMemcpyHostToDevice, stream));
  }
  DNN_CUDA_CHECK(cudaEventRecord(buffer.event, stream));
}

int Staging::to_device(void* to, const void* from, int64_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  int waits = 0;
  for (int64_t done = 0; done < bytes;) {
    int64_t size = std::min(large_limit, bytes - done);
    Buffer* buffer = size > buffer_bytes ? large(size, waits) : nullptr;
    if (buffer == nullptr) {
      size = std::min(buffer_bytes, size);
      buffer = &next();
      waits += wait_for(buffer->event);
    }
    fill(*buffer, static_cast<char*>(to) + done, static_cast<const char*>(from) + done, size, stream);
    done += size;
  }
  return waits;
}

void Staging::to_host(void* to, const void* from, int64_t bytes, cudaStream_t stream) {
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
    // An upload on another stream may still read from this buffer.
    DNN_CUDA_CHECK(cudaStreamWaitEvent(stream, buffer.event));
    DNN_CUDA_CHECK(cudaMemcpyAsync(buffer.data, static_cast<const char*>(from) + asked, static_cast<size_t>(size),
                                   cudaMemcpyDeviceToHost, stream));
    DNN_CUDA_CHECK(cudaEventRecord(buffer.event, stream));
    if (arriving != nullptr) take_out(asked);
    arriving = &buffer;
    asked += size;
  }
  if (arriving != nullptr) take_out(bytes);
}

void Staging::release_large() {
  const std::lock_guard lock(mutex_);
  for (Buffer& buffer : large_) {
    if (buffer.data == nullptr || !ready(buffer.event)) continue;
    DNN_CUDA_CHECK(cudaFreeHost(buffer.data));
    buffer.data = nullptr;
    buffer.bytes = 0;
  }
}

}  // namespace dnn::cuda
