// What training reports: one entry per epoch.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
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

  /// The number of that name, a member's or a metric's, those of the validation data behind "val_"; nothing when there
  /// is none of that name.
  std::optional<double> find(const std::string& name) const;
};

/// The epochs of a run, in order.
using History = std::vector<EpochStats>;

/// The names of the numbers that a history has, in the order of its tables: "epoch", "loss", ..., the metrics, those of
/// the validation data behind "val_".
std::vector<std::string> names_of(const History& history);
/// A table for people: a line per epoch, without the columns that are NaN throughout.
std::string history_table(const History& history);
/// The history as CSV (RFC 4180): a header, a line per epoch, numbers that read back exactly, "nan" where there is
/// none.
std::string history_csv(const History& history);
/// The history as JSON: a list of objects, null where there is no finite number.
std::string history_json(const History& history);
/// Writes it to a file, atomically, as CSV or JSON by the ending of the name (.csv, .json). Throws ArgumentError for
/// another ending; IoError.
void save_history(const History& history, const std::string& path);

}  // namespace dnn
