// Slots of the losses that have kernels of their own.
#pragma once

#include <limits>

#include "core/slot.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// How the rows of a cross-entropy count.
struct CrossEntropyRule {
  static constexpr int64_t nothing = std::numeric_limits<int64_t>::min();
  Tensor weights = {};             // [classes] in the type of log_sums; undefined: all are 1
  double smoothing = 0;            // the share of the target that is spread evenly over all classes
  int64_t ignored = nothing;       // rows with this label have no loss and no gradient
  bool log_probabilities = false;  // the logits are log-probabilities already (and log_sums are 0)
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(weights);
  }
  template <class Visit>
  void each_number(Visit&& visit) const {
    visit(smoothing), visit(ignored), visit(log_probabilities);
  }
};

// With p = softmax(logits [n, classes]), w the weights and s the smoothing: losses [n] = -(1 - s) w[label] log p[label]
// - s / classes * sum(w log p) in logits' type. Kept for later, in float32 (float64 for float64 logits): log_sums [n,
// 2] = the largest logit and log(sum(exp(logits - largest))) of each row, and row_weights [n] = w[label], 0 where
// ignored (undefined: not wanted). Labels are int64 or int32; one out of range throws IndexError (on a GPU at the next
// wait).
inline constinit Slot<void(const Tensor& logits, const Tensor& labels, const CrossEntropyRule& rule,
                           const Tensor& losses, const Tensor& row_weights, const Tensor& log_sums)>
    cross_entropy_forward{"cross_entropy_forward"};

// What a pass over all rows leaves behind, when they are reduced to one number.
struct CrossEntropyTotals {
  Tensor loss;           // [] in logits' type: scale * sum of the losses
  Tensor sums = {};      // float64 [2]: the sum of the losses, and the number of rows whose first largest logit (NaN
                         // counts as largest) is that of their label; undefined: not wanted
  Tensor gradient = {};  // [n, classes] = scale * d sum of the losses / d logits; undefined: not wanted
  Tensor log_sums = {};  // as above; undefined: not wanted
  template <class Visit>
  void each_tensor(Visit&& visit) const {
    visit(loss), visit(sums), visit(gradient), visit(log_sums);
  }
};

// The losses of all rows reduced, with what a training step needs beside them.
inline constinit Slot<void(const Tensor& logits, const Tensor& labels, const CrossEntropyRule& rule, double scale,
                           const CrossEntropyTotals& out)>
    cross_entropy_reduced{"cross_entropy_reduced"};

// out [n, classes] = scale * g * d losses / d logits (+ out when `accumulate`), g = grad [n], or grad [1] for all rows.
inline constinit Slot<void(const Tensor& grad, double scale, const Tensor& logits, const Tensor& labels,
                           const CrossEntropyRule& rule, const Tensor& log_sums, const Tensor& out, bool accumulate)>
    cross_entropy_backward{"cross_entropy_backward"};

template <class Visit>
void visit_loss_slots(Visit&& visit) {
  visit(cross_entropy_forward), visit(cross_entropy_reduced), visit(cross_entropy_backward);
}

}  // namespace dnn::kernel
