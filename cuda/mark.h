// Places in the work of a GPU, for the profiler: events in its stream that nobody waits for.
#pragma once

namespace dnn::cuda {

void* make_mark(int index);  // throws BackendError
double seconds_between(const void* from, const void* to);
void release_mark(void* mark) noexcept;

}  // namespace dnn::cuda
