// The stream of random numbers of a kernel; in a captured step each repetition has its own.
#pragma once

#include "core/capture.h"
#include "cuda/graph.h"

namespace dnn::cuda {

struct RandomStream {
  uint64_t seed, stream;
};

inline Varying<RandomStream> random_stream(const detail::Draw& draw, Context& context) {
  if (draw.again == nullptr) return {{draw.seed, draw.stream}};
  return varying(context, true, [again = draw.again] { return RandomStream{again->seed, again->stream}; });
}

}  // namespace dnn::cuda
