// Checkpoints: all that a training run needs to go on, in one safetensors file.
//
// The file holds `model.*` and `optimizer.*` as the net and the optimizer name their state, `history.*` (one number per
// epoch), `training.*` (what callbacks, metrics and the running epoch remember), and position and random numbers as
// metadata. Any safetensors reader can get at the weights.
#pragma once

#include <map>
#include <string>

#include "dnn/module.h"
#include "dnn/optim/optimizer.h"
#include "dnn/random.h"
#include "dnn/state_dict.h"
#include "dnn/train/history.h"

namespace dnn {

/// Where a training run is, besides its weights and its optimizer.
struct TrainingState {
  int64_t epoch = 0;                                 ///< Epochs completed.
  int64_t batch = 0;                                 ///< Batches of the running epoch done; 0 between epochs.
  int64_t step = 0;                                  ///< Steps since the start of the run.
  Generator generator = default_generator();         ///< What dropout draws from next.
  History history = {};                              ///< The completed epochs.
  StateDict training = {};                           ///< What callbacks, metrics and the running epoch remember.
  std::map<std::string, std::string> metadata = {};  ///< The user's texts.
};

/// Writes a checkpoint atomically: after any failure the file before is intact. Throws IoError; ArgumentError for user
/// metadata whose name begins with "dnn.".
void save_checkpoint(const std::string& path, const Module& net, const Optimizer& optimizer,
                     const TrainingState& state = {});

/// Puts net and optimizer into the state of a checkpoint and returns the rest of it; to go on exactly where it was
/// written, also assign `default_generator() = state.generator`. Nothing has changed when it throws: IoError,
/// FormatError when the file is no checkpoint, ArgumentError when it is one of another net or optimizer.
TrainingState load_checkpoint(const std::string& path, Module& net, Optimizer& optimizer);
/// The same for the net alone.
TrainingState load_checkpoint(const std::string& path, Module& net);

}  // namespace dnn
