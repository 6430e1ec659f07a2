// Decided when the epoch or step ends, written when every callback has seen it, so that a checkpoint holds the state of
// all of them after that epoch or step. An old file goes when the new one is safe.
#include "dnn/train/checkpoint_callbacks.h"

#include <fmt/format.h>

#include "dnn/error.h"
#include "dnn/io.h"
#include "dnn/train/trainer.h"
#include "train/state_numbers.h"

namespace dnn {

BestCheckpoint::BestCheckpoint(std::string path, const BestCheckpointOptions& options)
    : path_(std::move(path)), monitor_("best_checkpoint", options.monitor, options.better, options.min_delta) {}

void BestCheckpoint::on_fit_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  prepare_to_write(path_);
}

void BestCheckpoint::on_epoch_end(Trainer&, const EpochStats& stats) { due_ = monitor_.improves(stats); }

void BestCheckpoint::on_checkpoint(Trainer& trainer) {
  if (due_) trainer.save(path_);
  due_ = false;
}

KeepLastCheckpoints::KeepLastCheckpoints(std::string pattern, const KeepLastOptions& options)
    : pattern_(std::move(pattern)), options_(options) {
  if (options.keep < 1)
    throw ArgumentError(fmt::format("keep_last_checkpoints: keep is {}, expected at least 1", options.keep));
  if (options.every_epochs < 0 || options.every_steps < 0 || (options.every_epochs == 0 && options.every_steps == 0))
    throw ArgumentError(fmt::format(
        "keep_last_checkpoints: every_epochs is {} and every_steps {}, expected at least 0, and one of them positive",
        options.every_epochs, options.every_steps));
  const bool same = options.every_steps > 0 ? path_of({1, 1}) == path_of({1, 2}) : path_of({1, 1}) == path_of({2, 2});
  if (same)
    throw ArgumentError(fmt::format("keep_last_checkpoints: '{}' gives the same name twice, expected {} in it",
                                    pattern_, options.every_steps > 0 ? "{step}" : "{epoch} or {step}"));
}

std::string KeepLastCheckpoints::path_of(const Kept& kept) const {
  try {
    return fmt::format(fmt::runtime(pattern_), fmt::arg("epoch", kept.epoch), fmt::arg("step", kept.step));
  } catch (const fmt::format_error& error) {
    throw ArgumentError(
        fmt::format("keep_last_checkpoints: '{}' is no pattern of names, expected {{epoch}} or {{step}} in it ({})",
                    pattern_, error.what()));
  }
}

void KeepLastCheckpoints::on_fit_begin(Trainer& trainer) {
  due_ = false;
  prepare_to_write(path_of({trainer.epoch(), trainer.step()}));
}

void KeepLastCheckpoints::on_step_end(Trainer& trainer) {
  if (options_.every_steps > 0 && trainer.step() % options_.every_steps == 0) due_ = true;
}

void KeepLastCheckpoints::on_epoch_end(Trainer& trainer, const EpochStats&) {
  due_ = options_.every_epochs > 0 && trainer.epoch() % options_.every_epochs == 0;
}

void KeepLastCheckpoints::on_checkpoint(Trainer& trainer) {
  if (!due_) return;
  due_ = false;
  const Kept now{trainer.epoch(), trainer.step()};
  const std::string path = path_of(now);
  // Written again: after a resume from an earlier one, or at the end of an epoch whose last step was due too.
  std::erase_if(kept_, [&](const Kept& kept) { return path_of(kept) == path; });
  kept_.push_back(now);
  prepare_to_write(path);  // its folder may be a new one
  trainer.save(path);
  while (static_cast<int64_t>(kept_.size()) > options_.keep) {
    file_system().remove(path_of(kept_.front()));
    kept_.erase(kept_.begin());
  }
}

std::vector<std::string> KeepLastCheckpoints::paths() const {
  std::vector<std::string> paths;
  for (const Kept& kept : kept_) paths.push_back(path_of(kept));
  return paths;
}

StateDict KeepLastCheckpoints::state_dict() const {
  std::vector<int64_t> numbers;
  for (const Kept& kept : kept_) numbers.insert(numbers.end(), {kept.epoch, kept.step});
  return {{"kept", from_values(numbers, {static_cast<int64_t>(kept_.size()), 2})}};
}

void KeepLastCheckpoints::load_state_dict(const StateDict& state) {
  const Tensor* found = state.find("kept");
  if (found == nullptr || found->dtype() != DType::int64 || found->rank() != 2 || found->size(1) != 2)
    throw ArgumentError("keep_last_checkpoints: the state has no int64 'kept' [n, 2]");
  const std::vector<int64_t> numbers = found->to_vector<int64_t>();
  kept_.clear();
  for (size_t i = 0; i + 1 < numbers.size(); i += 2) kept_.push_back({numbers[i], numbers[i + 1]});
}

}  // namespace dnn
