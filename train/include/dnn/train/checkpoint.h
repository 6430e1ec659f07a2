// Checkpoints: all that a training run needs to go on, in one safetensors file.
//
// The file holds `model.*` and `optimizer.*` as the net and the optimizer name their state, `history.*` (one number per
// epoch), `training.*` (what callbacks, metrics and the running epoch remember), and position and random numbers as
// metadata. Any safetensors reader can get at the weights; `load_weights` gets them out of a checkpoint, and out of a
// file that holds nothing else.
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

/// The weights of a file, and what is written beside them.
struct Weights {
  StateDict state;                                   ///< As `Module::load_state_dict` takes it.
  std::map<std::string, std::string> metadata = {};  ///< The user's texts.
  std::string path = {};                             ///< The file, for messages.
};

/// Reads the weights out of a checkpoint (what it calls `model.*`), or out of another safetensors file all that is
/// there, as PyTorch saves a state dict with `safetensors.torch.save_file`. Throws IoError, FormatError.
Weights load_weights(const std::string& path);

/// Puts weights into a net as `Module::load_state_dict` does, and returns its report. Where all names of the state
/// begin with one text that the net lacks, such as "module." of a net that PyTorch trained on several GPUs, it is taken
/// off. Throws ArgumentError that names the file and has the table of what does not fit; then nothing has changed.
LoadReport load_weights(const Weights& weights, Module& net, const LoadOptions& options = {});
/// The same from a file.
LoadReport load_weights(const std::string& path, Module& net, const LoadOptions& options = {});

}  // namespace dnn
