// Every slot, for the test that lists the empty ones.
#pragma once

#include "core/kernels/augment.h"
#include "core/kernels/conv.h"
#include "core/kernels/conv_pool.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/index.h"
#include "core/kernels/interpolate.h"
#include "core/kernels/linear.h"
#include "core/kernels/loss.h"
#include "core/kernels/norm.h"
#include "core/kernels/norm_pool.h"
#include "core/kernels/optim.h"
#include "core/kernels/pool.h"
#include "core/kernels/recurrent.h"
#include "core/kernels/reduce.h"
#include "core/kernels/sort.h"

namespace dnn::kernel {

template <class Visit>
void visit_all_slots(Visit&& visit) {
  visit_augment_slots(visit), visit_conv_slots(visit), visit_conv_pool_slots(visit), visit_copy_slots(visit);
  visit_elementwise_slots(visit), visit_index_slots(visit), visit_interpolate_slots(visit);
  visit_linear_slots(visit), visit_loss_slots(visit), visit_norm_slots(visit), visit_norm_pool_slots(visit);
  visit_optim_slots(visit), visit_pool_slots(visit), visit_recurrent_slots(visit), visit_reduce_slots(visit);
  visit_sort_slots(visit);
}

}  // namespace dnn::kernel
