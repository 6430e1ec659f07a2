// CsvLog: the history of a run as a table that spreadsheets and pandas read.
#pragma once

#include <string>

#include "dnn/train/callback.h"

namespace dnn {

/// Writes the history to a CSV file after each epoch, atomically (see `history_csv`). A resumed run goes on with the
/// lines of the epochs that its checkpoint has: no line comes twice, and none that the run has lost.
class CsvLog : public Callback {
 public:
  explicit CsvLog(std::string path) : path_(std::move(path)) {}
  /// Throws IoError when the file could not be written.
  void on_fit_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;

 private:
  std::string path_;
};

}  // namespace dnn
