// Which slots count work of their own for a profiler.
#include "core/kernels/all.h"

namespace dnn::kernel {

void install_work() {
  conv2d_forward.set_work(ConvWork{});
  conv2d_fused.set_work(ConvWork{});
  conv2d_backward_data.set_work(ConvWork{});
  conv2d_backward_weight.set_work(ConvWork{});
  conv2d_pool_forward.set_work(ConvPoolWork{});
  conv2d_pool_backward_data.set_work(ConvPoolWork{});
  conv2d_pool_backward_weight.set_work(ConvPoolWork{});
  recurrent_forward.set_work(RecurrentWork{});
  recurrent_backward.set_work(RecurrentWork{});
  augment.set_work(AugmentWork{});
  relayout.set_work(RelayoutWork{});
  gather.set_work(PickWork{});
  scatter.set_work(PlaceWork{});
  dynamic_slice.set_work(SliceWork{});
  sgd_update.set_work(UpdateWork{});
  adam_update.set_work(UpdateWork{});
  rmsprop_update.set_work(UpdateWork{});
  adagrad_update.set_work(UpdateWork{});
  scale_gradients.set_work(ScaleWork{});
  gemm.set_work(GemmWork{});
  gemm_batched.set_work(BatchedGemmWork{});
  linear_fused.set_work(LinearWork{});
  linear_backward_weight.set_work(LinearBackwardWork{});
  linear_relu.set_work(LinearWork{});
  linear_backward_relu.set_work(LinearInputWork{});
}

}  // namespace dnn::kernel
