// What training reports: one entry per epoch.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace dnn {

/// The numbers of one epoch; NaN where there is none.
struct EpochStats {
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();

  int64_t epoch = 0;              ///< Number of the epoch, from 1.
  double loss = none;             ///< Mean training loss of the epoch, while the weights changed.
  double accuracy = none;         ///< Share of training samples classified right, in [0, 1], in the same way.
  double val_loss = none;         ///< Mean loss on the validation data, at the end of the epoch.
  double val_accuracy = none;     ///< Share of validation samples classified right, in [0, 1].
  double lr = none;               ///< Learning rate of the last step.
  double seconds = none;          ///< Wall time, validation included.
  double samples_per_second = 0;  ///< Training samples per second of training.
  std::map<std::string, double> metrics = {};      ///< The user's metrics, by name, on the training data.
  std::map<std::string, double> val_metrics = {};  ///< The same on the validation data.
};

/// The epochs of a run, in order.
using History = std::vector<EpochStats>;

}  // namespace dnn
