// Named ranges of the host's time for NVIDIA's tools; nothing happens where none of them is attached.
#pragma once

namespace dnn::cuda {

void push_range(const char* name);
void pop_range();

}  // namespace dnn::cuda
