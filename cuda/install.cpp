// Fills the GPU's runtime table and kernel slots. Loads and runs without a driver: nothing here asks the GPU anything.
#include "core/kernels/runtime.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/device.h"
#include "cuda/graph.h"
#include "cuda/kernels.h"
#include "cuda/library.h"
#include "cuda/mark.h"
#include "cuda/nvtx.h"
#include "cuda/packed_filters.h"
#include "cuda/rnn.h"

namespace dnn::cuda {

namespace {

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (bytes == 0) return;
  if (from_device.is_cpu()) return Context::of(to_device.index()).to_device(to, from, bytes);
  if (to_device.is_cpu()) return Context::of(from_device.index()).to_host(to, from, bytes);
  Context& target = Context::of(to_device.index());
  if (to_device == from_device) return target.copy(to, from, bytes);
  target.copy_from(Context::of(from_device.index()), to, from, bytes);
}

void release(void* data, int64_t, int index) noexcept {
  if (Context* context = Context::existing(index)) context->memory().release(data);
}

void install_runtime() {
  detail::DeviceRuntime& table = detail::runtime_table(DeviceType::cuda);
  table.device_count = [] { return static_cast<int>(devices().usable.size()); };
  table.why_unavailable = [] { return devices().why; };
  table.allocate = [](int64_t bytes, int index) { return Context::of(index).memory().allocate(bytes); };
  table.release = release;
  table.upload = [](const void* from, int64_t bytes, int index) { return Context::of(index).upload(from, bytes); };
  table.copy = copy_bytes;
  table.synchronize = [](int index) { Context::of(index).wait(); };
  table.host_waits = [](int index) { return Context::of(index).counters().waits; };
  table.memory_stats = [](int index) { return Context::of(index).memory().stats(); };
  table.reset_peak = [](int index) { Context::of(index).memory().reset_peak(); };
  table.release_cached = [](int index) {
    forget_packed_filters();
    Context::of(index).release_cached();
  };
  table.mark = make_mark;
  table.seconds_between = seconds_between;
  table.release_mark = release_mark;
  table.why_no_capture = why_no_capture;
  table.make_step_memory = [](int index) { return static_cast<void*>(Context::of(index).memory().make_pool()); };
  table.release_step_memory = [](void* memory, int index) noexcept {
    if (Context* context = Context::existing(index))
      context->memory().release_pool(static_cast<Allocator::Pool*>(memory));
  };
  table.begin_capture = [](void* memory, int index) { begin_capture(index, static_cast<Allocator::Pool*>(memory)); };
  table.end_capture = [](int index) { return static_cast<void*>(end_capture(index).release()); };
  table.abandon_capture = abandon_capture;
  table.launch_graph = [](void* graph) { static_cast<StepGraph*>(graph)->launch(); };
  table.graph_nodes = [](const void* graph) { return static_cast<const StepGraph*>(graph)->nodes(); };
  table.release_graph = [](void* graph) noexcept { delete static_cast<StepGraph*>(graph); };
  table.push_range = push_range;
  table.pop_range = pop_range;
  table.why_incapable = [] {
    return cudnn.why_missing() + (cudnn.why_missing().empty() ? cublaslt.why_missing() : "");
  };
  table.describe = [](SystemReport& report) { describe(devices(), report); };
}

template <class Slot, class Function>
void fill_slot(Slot& slot, Function function) {
  slot.set(DeviceType::cuda, function);
}

}  // namespace

void install() {
  install_runtime();
  install_unary();
  install_activation();
  install_binary();
  install_predicates();

  fill_slot(kernel::fill, fill);
  fill_slot(kernel::copy, copy);
  fill_slot(kernel::relayout, relayout);
  fill_slot(kernel::random_uniform, random_uniform);
  fill_slot(kernel::random_normal, random_normal);
  fill_slot(kernel::random_integers, random_integers);
  fill_slot(kernel::where, where);
  fill_slot(kernel::reduce_sum, reduce_sum);
  fill_slot(kernel::channel_sum, channel_sum);
  fill_slot(kernel::reduce_extremum, reduce_extremum);
  fill_slot(kernel::reduce_extremum_backward, reduce_extremum_backward);
  fill_slot(kernel::reduce_fold, reduce_fold);
  fill_slot(kernel::reduce_fold_backward, reduce_fold_backward);
  fill_slot(kernel::augment, augment);
  fill_slot(kernel::gather, gather);
  fill_slot(kernel::scatter, scatter);
  fill_slot(kernel::nonzero, nonzero);
  fill_slot(kernel::dynamic_slice, dynamic_slice);
  fill_slot(kernel::sort, sort);
  fill_slot(kernel::cumsum, cumsum);
  fill_slot(kernel::conv2d_layout, conv2d_layout);
  fill_slot(kernel::conv2d_forward, conv2d_forward);
  fill_slot(kernel::conv2d_fused, conv2d_fused);
  fill_slot(kernel::conv2d_backward_data, conv2d_backward_data);
  fill_slot(kernel::conv2d_backward_weight, conv2d_backward_weight);
  fill_slot(kernel::conv2d_pool_fits, conv2d_pool_fits);
  fill_slot(kernel::conv2d_pool_forward, conv2d_pool_forward);
  fill_slot(kernel::conv2d_pool_backward_data, conv2d_pool_backward_data);
  fill_slot(kernel::conv2d_pool_backward_weight, conv2d_pool_backward_weight);
  fill_slot(kernel::gemm, gemm);
  fill_slot(kernel::gemm_batched, gemm_batched);
  fill_slot(kernel::linear_fused, linear_fused);
  fill_slot(kernel::linear_backward_weight, linear_backward_weight);
  fill_slot(kernel::linear_relu, linear_relu);
  fill_slot(kernel::linear_backward_relu, linear_backward_relu);
  fill_slot(kernel::softmax_forward, softmax_forward);
  fill_slot(kernel::softmax_backward, softmax_backward);
  fill_slot(kernel::cross_entropy_forward, cross_entropy_forward);
  fill_slot(kernel::cross_entropy_reduced, cross_entropy_reduced);
  fill_slot(kernel::cross_entropy_backward, cross_entropy_backward);
  fill_slot(kernel::dropout, dropout);
  fill_slot(kernel::batch_norm_train, batch_norm_train);
  fill_slot(kernel::batch_norm_infer, batch_norm_infer);
  fill_slot(kernel::batch_norm_backward, batch_norm_backward);
  fill_slot(kernel::batch_norm_pool_fits, batch_norm_pool_fits);
  fill_slot(kernel::batch_norm_pool_train, batch_norm_pool_train);
  fill_slot(kernel::batch_norm_pool_backward, batch_norm_pool_backward);
  fill_slot(kernel::row_norm_forward, row_norm_forward);
  fill_slot(kernel::row_norm_backward, row_norm_backward);
  fill_slot(kernel::response_norm_plan, response_norm_plan);
  fill_slot(kernel::response_norm_forward, response_norm_forward);
  fill_slot(kernel::response_norm_backward, response_norm_backward);
  fill_slot(kernel::max_pool2d_forward, max_pool2d_forward);
  fill_slot(kernel::max_pool2d_backward, max_pool2d_backward);
  fill_slot(kernel::avg_pool2d_forward, avg_pool2d_forward);
  fill_slot(kernel::avg_pool2d_backward, avg_pool2d_backward);
  fill_slot(kernel::interpolate_forward, interpolate_forward);
  fill_slot(kernel::interpolate_backward, interpolate_backward);
  fill_slot(kernel::recurrent_reserve, recurrent_reserve);
  fill_slot(kernel::recurrent_forward, recurrent_forward);
  fill_slot(kernel::recurrent_backward, recurrent_backward);
  fill_slot(kernel::sgd_update, sgd_update);
  fill_slot(kernel::adam_update, adam_update);
  fill_slot(kernel::rmsprop_update, rmsprop_update);
  fill_slot(kernel::adagrad_update, adagrad_update);
  fill_slot(kernel::measure_gradients, measure_gradients);
  fill_slot(kernel::scale_gradients, scale_gradients);
  fill_slot(kernel::update_loss_scale, update_loss_scale);
}

}  // namespace dnn::cuda
