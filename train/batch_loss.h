// The loss of a batch, and the sums for loss and accuracy that the usual one has with it for nothing.
#pragma once

#include "dnn/ops/loss.h"
#include "dnn/train/evaluate.h"
#include "dnn/train/metric.h"

namespace dnn {

struct BatchLoss {
  Tensor loss;
  Tensor sums;  // of `classification_loss`, undefined for other losses
};

// Cross-entropy when no loss is given.
inline BatchLoss loss_of(const LossFunction& given, const Tensor& output, const Tensor& target) {
  if (given) return {given(output, target), {}};
  if (!Accuracy::applies(output, target)) return {cross_entropy(output, target), {}};
  const ClassificationLoss both = classification_loss(output, target);
  return {both.loss, both.sums};
}

// Adds the batch of so many samples to the mean of the losses and, when its targets are classes, to the accuracy. A net
// may give several rows for a sample: sums are over the rows.
inline void gather(RunningMean& loss, Accuracy& accuracy, const BatchLoss& batch, int64_t samples, const Tensor& output,
                   const Tensor& target) {
  if (batch.sums.defined()) {
    const int64_t rows = target.size(0);
    loss.add_sum(batch.sums[0], static_cast<double>(rows));
    accuracy.add(batch.sums[1], rows);
    return;
  }
  loss.add(batch.loss, static_cast<double>(samples));
  if (Accuracy::applies(output, target)) accuracy.update(output, target);
}

}  // namespace dnn
