// A checkpoint is checked as a whole before net or optimizer change. Each of the two loads all or nothing; when the
// second one refuses, the first one gets its state back.
#include "dnn/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "dnn/error.h"
#include "dnn/interop/safetensors.h"
#include "dnn/ops/factory.h"

namespace dnn {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr const char* format_name = "dnn checkpoint 1";
constexpr const char* reserved = "dnn.";

constexpr std::array<std::pair<const char*, double EpochStats::*>, 7> columns{
    {{"loss", &EpochStats::loss},
     {"accuracy", &EpochStats::accuracy},
     {"val_loss", &EpochStats::val_loss},
     {"val_accuracy", &EpochStats::val_accuracy},
     {"lr", &EpochStats::lr},
     {"seconds", &EpochStats::seconds},
     {"samples_per_second", &EpochStats::samples_per_second}}};
constexpr std::array<std::pair<const char*, std::map<std::string, double> EpochStats::*>, 2> metric_columns{
    {{"metrics.", &EpochStats::metrics}, {"val_metrics.", &EpochStats::val_metrics}}};

// The texts that are not the checkpoint's own.
Metadata user_texts(const Metadata& metadata) {
  Metadata texts;
  for (const auto& [name, value] : metadata)
    if (!name.starts_with(reserved)) texts[name] = value;
  return texts;
}

// A text of the file in an error message.
std::string shortened(const std::string& text) { return text.size() > 40 ? text.substr(0, 40) + "..." : text; }

// One float64 tensor [epochs] for each number.
StateDict columns_of(const History& history) {
  StateDict state;
  const auto insert = [&](const std::string& name, auto value_of) {
    std::vector<double> values;
    for (const EpochStats& stats : history) values.push_back(value_of(stats));
    state.insert(name, from_values(values, {static_cast<int64_t>(values.size())}));
  };
  for (const auto& [name, member] : columns)
    insert(name, [member = member](const EpochStats& stats) { return stats.*member; });
  for (const auto& [prefix, member] : metric_columns) {
    std::map<std::string, double> names;  // metrics may come and go during a run
    for (const EpochStats& stats : history) names.insert((stats.*member).begin(), (stats.*member).end());
    for (const auto& [name, unused] : names)
      insert(prefix + name, [name = name, member = member](const EpochStats& stats) {
        const auto found = (stats.*member).find(name);
        return found == (stats.*member).end() ? EpochStats::none : found->second;
      });
  }
  return state;
}

// A checkpoint that has been read, and what is wrong with it.
class Reader {
 public:
  explicit Reader(const std::string& path) : Reader(path, load_safetensors(path)) {}
  Reader(const std::string& path, Safetensors file) : path_(path), file_(std::move(file)) {
    if (text("dnn.format") != format_name)
      fail(fmt::format("format is '{}', expected '{}'", shortened(text("dnn.format")), format_name));
  }

  StateDict model() const { return file_.tensors.with_prefix("model."); }
  StateDict optimizer() const { return file_.tensors.with_prefix("optimizer."); }

  TrainingState state() const {
    TrainingState state{.epoch = count("dnn.epoch"), .batch = count("dnn.batch"), .step = count("dnn.step")};
    state.generator.set_state(number("dnn.random.seed"), number("dnn.random.offset"));
    state.history = history();
    state.training = file_.tensors.with_prefix("training.");
    state.metadata = user_texts(file_.metadata);
    return state;
  }

  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(fmt::format("load_checkpoint: {}: {}", path_, what));
  }

  const std::string& text(const std::string& name) const {
    const auto found = file_.metadata.find(name);
    if (found == file_.metadata.end()) fail(fmt::format("there is no {}, so it is no checkpoint", name));
    return found->second;
  }

  uint64_t number(const std::string& name) const {
    const std::string& digits = text(name);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size())
      fail(fmt::format("{} is '{}', expected a number", name, shortened(digits)));
    return value;
  }

  int64_t count(const std::string& name) const {
    const uint64_t value = number(name);
    if (value > uint64_t{INT64_MAX}) fail(fmt::format("{} is {}, expected at most {}", name, value, INT64_MAX));
    return static_cast<int64_t>(value);
  }

  std::vector<double> column(const StateDict& columns, const std::string& name, int64_t epochs) const {
    const Tensor* found = columns.find(name);
    if (!found) fail(fmt::format("there is no history.{}, so it is no checkpoint", name));
    if (found->dtype() != DType::float64 || found->shape() != Shape{epochs})
      fail(fmt::format("history.{} is {} {}, expected float64 [{}]", name, name_of(found->dtype()),
                       found->shape().str(), epochs));
    return found->to_vector<double>();
  }

  History history() const {
    const StateDict all = file_.tensors.with_prefix("history.");
    const Tensor* loss = all.find("loss");
    const int64_t epochs = loss ? loss->numel() : 0;
    std::array<std::vector<double>, columns.size()> numbers;  // all of them, before the sizes are believed
    for (size_t c = 0; c < columns.size(); ++c) numbers[c] = column(all, columns[c].first, epochs);
    History history(static_cast<size_t>(epochs));
    for (size_t i = 0; i < history.size(); ++i) {
      history[i].epoch = static_cast<int64_t>(i) + 1;
      for (size_t c = 0; c < columns.size(); ++c) history[i].*columns[c].second = numbers[c][i];
    }
    for (const auto& [prefix, member] : metric_columns)
      for (const auto& [name, tensor] : all.with_prefix(prefix)) {
        const std::vector<double> values = column(all, prefix + name, epochs);
        for (size_t i = 0; i < history.size(); ++i) (history[i].*member)[name] = values[i];
      }
    return history;
  }

  std::string path_;
  Safetensors file_;
};

// Calls `load`; what it says about net or optimizer gets the file's name.
template <class Load>
void loading(const Reader& file, const char* what, Load load) {
  try {
    load();
  } catch (const ArgumentError& error) {
    throw ArgumentError(fmt::format("load_checkpoint: {}: {} does not fit: {}", file.path(), what, error.what()));
  }
}

// The state without a text that stands before all of its names and before none of the net's.
StateDict without_prefix(const StateDict& state, const Module& net) {
  const std::string prefix = net.compare_state_dict(state).prefix;
  const bool all = std::ranges::all_of(state, [&](const auto& entry) { return entry.name.starts_with(prefix); });
  return all ? state.with_prefix(prefix) : state;
}

}  // namespace

void save_checkpoint(const std::string& path, const Module& net, const Optimizer& optimizer,
                     const TrainingState& state) {
  Metadata metadata = state.metadata;
  for (const auto& [name, value] : metadata)
    if (name.starts_with(reserved))
      throw ArgumentError(
          fmt::format("save_checkpoint: metadata is called '{}', names must not begin with '{}'", name, reserved));
  metadata["dnn.format"] = format_name;
  metadata["dnn.epoch"] = std::to_string(state.epoch);
  metadata["dnn.batch"] = std::to_string(state.batch);
  metadata["dnn.step"] = std::to_string(state.step);
  metadata["dnn.random.seed"] = std::to_string(state.generator.seed());
  metadata["dnn.random.offset"] = std::to_string(state.generator.offset());
  StateDict tensors;
  tensors.insert("model.", net.state_dict());
  tensors.insert("optimizer.", optimizer.state_dict());
  tensors.insert("history.", columns_of(state.history));
  tensors.insert("training.", state.training);
  save_safetensors(path, tensors, metadata);
}

TrainingState load_checkpoint(const std::string& path, Module& net, Optimizer& optimizer) {
  const Reader file(path);
  TrainingState state = file.state();
  const StateDict model = file.model(), before = net.state_dict().clone();
  loading(file, "net", [&] { net.load_state_dict(model); });
  try {
    loading(file, "optimizer", [&] { optimizer.load_state_dict(file.optimizer()); });
  } catch (...) {
    net.load_state_dict(before);
    throw;
  }
  return state;
}

TrainingState load_checkpoint(const std::string& path, Module& net) {
  const Reader file(path);
  TrainingState state = file.state();
  loading(file, "net", [&] { net.load_state_dict(file.model()); });
  return state;
}

Weights load_weights(const std::string& path) {
  Safetensors file = load_safetensors(path);
  const Metadata texts = user_texts(file.metadata);
  if (!file.metadata.contains("dnn.format")) return {std::move(file.tensors), texts, path};
  return {Reader(path, std::move(file)).model(), texts, path};
}

LoadReport load_weights(const Weights& weights, Module& net, const LoadOptions& options) {
  try {
    return net.load_state_dict(without_prefix(weights.state, net), options);
  } catch (const ArgumentError& error) {
    throw ArgumentError(fmt::format("load_weights: {}: {}", weights.path, error.what()));
  }
}

LoadReport load_weights(const std::string& path, Module& net, const LoadOptions& options) {
  return load_weights(load_weights(path), net, options);
}

}  // namespace dnn
