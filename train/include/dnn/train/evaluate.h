// Running a trained net: its loss and metrics on a data set, its outputs.
//
// Each function puts the net into evaluation, without gradients, and gives every module its mode back at the end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dnn/data/loader.h"
#include "dnn/layer.h"
#include "dnn/precision.h"
#include "dnn/train/clock.h"
#include "dnn/train/history.h"
#include "dnn/train/metric.h"

namespace dnn {

/// The loss [] of a batch, a mean over its samples: from outputs [n, ...] and targets [n, ...].
using LossFunction = std::function<Tensor(const Tensor& output, const Tensor& target)>;

/// Options of `evaluate`.
struct EvaluateOptions {
  LossFunction loss = {};                             ///< Cross-entropy of logits and classes when it is not given.
  std::vector<std::shared_ptr<Metric>> metrics = {};  ///< Besides the accuracy.
  Clock clock = monotonic_clock();                    ///< Of the seconds.
  std::function<bool()> cancelled = {};               ///< Asked before each batch; `true` ends it there.
  Arithmetic precision = Arithmetic::float32;           ///< Arithmetic of net and loss; the outputs count in float32.
};

/// What `evaluate` found.
struct Evaluation {
  double loss = EpochStats::none;      ///< Mean over the samples.
  double accuracy = EpochStats::none;  ///< Share classified right, in [0, 1]; NaN when the targets are no classes.
  std::map<std::string, double> metrics = {};  ///< The user's metrics, by name.
  int64_t samples = 0;
  double seconds = 0;
};

/// The device of a module's parameters and buffers; the CPU when it has none.
Device device_of(const Module& net);

/// Loss and metrics over one epoch of a loader, on the device of the net. Throws what the net and the loss throw, and
/// DeviceError for a precision that the device does not have.
Evaluation evaluate(Layer& net, DataLoader& loader, const EvaluateOptions& options = {});

/// The outputs for one batch of inputs [n, ...] -> [n, ...], on the device of `input`.
Tensor predict(Layer& net, const Tensor& input);
/// The outputs for all samples of a loader, in its order, on the CPU.
Tensor predict(Layer& net, DataLoader& loader);
/// The classes with the largest outputs, int64: [n, ...] -> [n], on the device of `input`. Throws ShapeError unless the
/// outputs are [n, classes].
Tensor predict_classes(Layer& net, const Tensor& input);
/// The same for all samples of a loader, in its order, on the CPU.
Tensor predict_classes(Layer& net, DataLoader& loader);

}  // namespace dnn
