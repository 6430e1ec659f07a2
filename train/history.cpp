// Histories as texts.
#include "dnn/train/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "dnn/error.h"
#include "dnn/io.h"

namespace dnn {
namespace {

constexpr std::array<std::pair<const char*, double EpochStats::*>, 7> members{
    {{"loss", &EpochStats::loss},
     {"accuracy", &EpochStats::accuracy},
     {"val_loss", &EpochStats::val_loss},
     {"val_accuracy", &EpochStats::val_accuracy},
     {"lr", &EpochStats::lr},
     {"seconds", &EpochStats::seconds},
     {"samples_per_second", &EpochStats::samples_per_second}}};

double value_of(const EpochStats& stats, const std::string& name) {
  return stats.find(name).value_or(EpochStats::none);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      quoted += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) < 0x20)
      quoted += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::optional<double> EpochStats::find(const std::string& name) const {
  if (name == "epoch") return static_cast<double>(epoch);
  for (const auto& [known, member] : members)
    if (name == known) return this->*member;
  if (const auto found = metrics.find(name); found != metrics.end()) return found->second;
  if (name.starts_with("val_"))
    if (const auto found = val_metrics.find(name.substr(4)); found != val_metrics.end()) return found->second;
  return std::nullopt;
}

std::vector<std::string> names_of(const History& history) {
  std::vector<std::string> names{"epoch"};
  for (const auto& [name, member] : members) names.push_back(name);
  std::set<std::string> metrics, val_metrics;
  for (const EpochStats& stats : history) {
    for (const auto& [name, value] : stats.metrics) metrics.insert(name);
    for (const auto& [name, value] : stats.val_metrics) val_metrics.insert("val_" + name);
  }
  names.insert(names.end(), metrics.begin(), metrics.end());
  names.insert(names.end(), val_metrics.begin(), val_metrics.end());
  return names;
}

std::string history_table(const History& history) {
  std::vector<std::vector<std::string>> columns;
  for (const std::string& name : names_of(history)) {
    std::vector<std::string> column{name};
    bool any = name == "epoch";
    for (const EpochStats& stats : history) {
      const double value = value_of(stats, name);
      any |= !std::isnan(value);
      const double size = std::fabs(value);
      if (name == "epoch")
        column.push_back(fmt::format("{}", stats.epoch));
      else if (name == "seconds" || name == "samples_per_second")
        column.push_back(fmt::format("{:.1f}", value));
      else
        column.push_back(size == 0 || (size >= 1e-3 && size < 1e4) || !std::isfinite(value)
                             ? fmt::format("{:.4f}", value)
                             : fmt::format("{:.3e}", value));
    }
    if (any) columns.push_back(std::move(column));
  }
  std::string text;
  for (size_t row = 0; row <= history.size(); ++row) {
    for (size_t c = 0; c < columns.size(); ++c) {
      size_t width = 0;
      for (const std::string& cell : columns[c]) width = std::max(width, cell.size());
      text += fmt::format("{}{:>{}}", c > 0 ? "  " : "", columns[c][row], width);
    }
    text += "\n";
  }
  return text;
}

std::string history_csv(const History& history) {
  const std::vector<std::string> names = names_of(history);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + csv_field(name);
  text += "\n";
  for (const EpochStats& stats : history) {
    text += std::to_string(stats.epoch);
    for (size_t i = 1; i < names.size(); ++i) text += fmt::format(",{}", value_of(stats, names[i]));
    text += "\n";
  }
  return text;
}

std::string history_json(const History& history) {
  const std::vector<std::string> names = names_of(history);
  std::string text = "[";
  for (const EpochStats& stats : history) {
    text += text.size() > 1 ? ",\n  {" : "\n  {";
    for (const std::string& name : names) {
      const double value = value_of(stats, name);
      text += name == "epoch" ? "" : ", ";
      text += json_string(name) + ": " + (std::isfinite(value) ? fmt::format("{}", value) : "null");
    }
    text += "}";
  }
  return text + (history.empty() ? "]\n" : "\n]\n");
}

void save_history(const History& history, const std::string& path) {
  if (!path.ends_with(".csv") && !path.ends_with(".json"))
    throw ArgumentError(fmt::format("save_history: the file is called '{}', expected a name in .csv or .json", path));
  const std::string text = path.ends_with(".csv") ? history_csv(history) : history_json(history);
  write_atomically(path, [&](OutputFile& file) { file.write(text); });
}

}  // namespace dnn
