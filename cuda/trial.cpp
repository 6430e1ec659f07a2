// Operands of trials, timing, and looking at what became of them.
#include "cuda/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "core/storage.h"
#include "cuda/check.h"
#include "cuda/device.h"
#include "cuda/kernels.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

int64_t bytes_of_cache() {
  int ordinal = 0, bytes = 0;
  DNN_CUDA_CHECK(cudaGetDevice(&ordinal));
  DNN_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, ordinal));
  return bytes;
}

}  // namespace

int64_t plans_to_try(const char* where, const char* variable, int64_t usual) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return usual;
  int64_t count = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, count);
  if (error != std::errc() || stop != end || count < 1)
    throw ArgumentError(fmt::format("{}: {} is \"{}\", expected a number of plans from 1 on", where, variable, text));
  return count;
}

void* TrialOperands::add(int64_t elements) {
  const Tensor& tensor = tensors_.emplace_back(detail::allocate({elements}, type_, device_));
  random_normal(tensor, {0, tensors_.size()});
  return detail::raw(tensor);
}

TrialClock::TrialClock(Context& context)
    : context_(context), bytes_(2 * bytes_of_cache()), flood_(context, bytes_), stopwatch_(context) {
  context.wait();  // the clock shall not run for earlier work; so the wait is counted, too
}

TrialClock::~TrialClock() = default;  // here, since programs on libdnn have no CUDA runtime to call

double TrialClock::time(const std::function<void()>& run) {
  constexpr int runs = 5;
  run();
  float best = 0;
  for (int i = 0; i < runs; ++i) {
    // While it is written, the host gets ahead and the clock does not run for the host.
    DNN_CUDA_CHECK(cudaMemsetAsync(flood_.as<void>(), i, static_cast<size_t>(bytes_), context_.stream()));
    const float time = stopwatch_.time(run);
    best = i == 0 ? time : std::min(best, time);
  }
  return best;
}

std::string trial_origin(const std::string& library, const Context& context, Device device) {
  const Survey& survey = devices();
  const DeviceInfo& gpu = survey.usable.at(static_cast<size_t>(device.index()));
  return fmt::format("{}, {}, compute capability {}.{}, {} multiprocessors, driver {}, runtime {}", library, gpu.name,
                     gpu.major, gpu.minor, context.multiprocessors(), survey.driver, survey.runtime);
}

// All ones are NaN in every floating type.
void set_nan(Context& context, DType type, void* element) {
  DNN_CUDA_CHECK(cudaMemsetAsync(element, 0xff, size_of(type), context.stream()));
}

// The bits of NaN are beyond those of infinity.
bool is_nan(Context& context, DType type, const void* element) {
  uint64_t bits = 0;
  const size_t size = size_of(type);
  context.to_host(&bits, element, static_cast<int64_t>(size));
  const uint64_t magnitude = bits & (~uint64_t{0} >> (65 - 8 * size));
  switch (type) {
    case DType::float64: return magnitude > 0x7ff0000000000000;
    case DType::float32: return magnitude > 0x7f800000;
    case DType::float16: return magnitude > 0x7c00;
    default: return magnitude > 0x7f80;
  }
}

}  // namespace dnn::cuda
