// The seam between the recurrent layers and the library that computes them: cuDNN (rnn_cudnn.cpp), or what the emulator
// has in its place.
//
// All pointers are device memory, all work goes to the context's stream, the host never waits.
#pragma once

#include <memory>

#include "cuda/rnn_layout.h"

namespace dnn::cuda {

class Context;

// What every pass reads. x [t, n, input]; h_0, c_0 [directions, n, hidden], null for zeros.
struct RnnBuffers {
  const void* x = nullptr;
  const void* h_0 = nullptr;
  const void* c_0 = nullptr;
  const void* weights = nullptr;  // the weight space
  void* workspace = nullptr;      // both passes back need the same one, untouched in between
  void* reserve = nullptr;        // null without training
  int64_t reserve_bytes = 0;
};

// What a library keeps for one shape.
class RnnPlan {
 public:
  virtual ~RnnPlan() = default;
  const RnnShape& shape() const { return shape_; }
  const RnnLayout& layout() const { return layout_; }

  // Writes y [t, n, directions * hidden], c_n [directions, n, hidden] (lstm alone, else null) and the reserve.
  virtual void forward(Context& context, const RnnBuffers& buffers, void* y, void* c_n) const = 0;

  // Writes the gradients of x and, unless they are null, of h_0 and c_0, from those of y and c_n (null for zeros).
  // Changes the reserve.
  virtual void backward_data(Context& context, const RnnBuffers& buffers, const void* y, const void* grad_y,
                             const void* grad_c_n, void* grad_x, void* grad_h_0, void* grad_c_0) const = 0;

  // After backward_data, with its workspace and reserve: adds the gradients of the weights to `grad_weights`, which is
  // laid out as the weight space.
  virtual void backward_weights(Context& context, const RnnBuffers& buffers, const void* y,
                                void* grad_weights) const = 0;

 protected:
  explicit RnnPlan(const RnnShape& shape) : shape_(shape) {}
  const RnnShape shape_;
  RnnLayout layout_;
};

std::unique_ptr<const RnnPlan> make_rnn_plan(Context& context, const RnnShape& shape);

// Whether the library takes bfloat16 on the calling thread's current GPU.
bool rnn_takes_bfloat16();

}  // namespace dnn::cuda
