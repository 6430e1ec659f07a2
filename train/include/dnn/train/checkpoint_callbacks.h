// Which checkpoints a training run leaves behind, besides the one of TrainerOptions::checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dnn/train/callback.h"
#include "dnn/train/monitor.h"

namespace dnn {

/// Options of `BestCheckpoint`.
struct BestCheckpointOptions {
  std::string monitor = "val_loss";   ///< The number that is followed (see `Monitor`).
  Better better = Better::automatic;  ///< Which numbers are better ones.
  double min_delta = 0;               ///< What counts as an improvement is larger than this.
};

/// Writes a checkpoint after each epoch that is the best one so far.
class BestCheckpoint : public Callback {
 public:
  /// `path` is the file, replaced each time. Throws ArgumentError unless min_delta is at least 0.
  explicit BestCheckpoint(std::string path, const BestCheckpointOptions& options = {});

  /// Throws ArgumentError when there is no such number, IoError when the file could not be written.
  void on_fit_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;
  void on_checkpoint(Trainer& trainer) override;
  std::string name() const override { return "best_checkpoint"; }
  StateDict state_dict() const override { return monitor_.state_dict(); }
  void load_state_dict(const StateDict& state) override { monitor_.load_state_dict(state); }

  /// The best number so far and its epoch.
  const Monitor& monitor() const { return monitor_; }

 private:
  std::string path_;
  Monitor monitor_;
  bool due_ = false;
};

/// Options of `KeepLastCheckpoints`.
struct KeepLastOptions {
  int64_t keep = 3;          ///< How many stay.
  int64_t every_epochs = 1;  ///< Epochs between two; 0: not by epoch.
  int64_t every_steps = 0;   ///< Steps between two; 0: not by step.
};

/// Writes a checkpoint every few epochs or steps under a name of its own, and removes all but the last ones.
class KeepLastCheckpoints : public Callback {
 public:
  /// `pattern` is the file with the numbers of completed epochs and steps, e.g. "runs/{epoch:03}.safetensors" or
  /// "runs/{step}.safetensors". Throws ArgumentError when it gives the same name twice, for keep below 1, for negative
  /// numbers, or when it would never write.
  explicit KeepLastCheckpoints(std::string pattern, const KeepLastOptions& options = {});

  /// Throws IoError when the files could not be written.
  void on_fit_begin(Trainer& trainer) override;
  void on_step_end(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const EpochStats& stats) override;
  void on_checkpoint(Trainer& trainer) override;
  std::string name() const override { return "keep_last_checkpoints"; }
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

  /// The files that are there, the newest one last.
  std::vector<std::string> paths() const;

 private:
  struct Kept {
    int64_t epoch, step;
  };
  std::string path_of(const Kept& kept) const;

  std::string pattern_;
  KeepLastOptions options_;
  std::vector<Kept> kept_;
  bool due_ = false;
};

}  // namespace dnn
