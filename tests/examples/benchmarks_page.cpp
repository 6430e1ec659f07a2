// Makes docs/benchmarks.md from the measurements in docs/benchmarks: which files make which table, and by which command
// they came to be, stands in docs/benchmarks/tables.json; what there is to say about rows stands in notes.md.
//
//   dnn_benchmarks_page docs           writes docs/benchmarks.md
//   dnn_benchmarks_page docs --check   fails when that would change it
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>

#include "examples/bench/numbers.h"
#include "examples/bench/rows.h"

namespace {

using nlohmann::json;

constexpr const char* head = R"(# Benchmarks

Made by `tests/examples/benchmarks_page.cpp` from the files in `benchmarks`; do not edit. After a change:

```
cmake --build --preset release --target dnn_benchmarks_page && build/release/tests/examples/dnn_benchmarks_page docs
```

A step is a whole optimisation step (train) or a forward pass (infer) on a batch that already lies on the device; the networks, batches
and optimizers are those of `examples/bench/workloads.cpp`, and `examples/peers/torch_bench.py` has the same in PyTorch. Both programs
run in turn, A B A B ..., on the same machine. Of each side the mode with the best median counts. The ratio is that of samples a second, libdnn's over
PyTorch's, round by round: the median of the pairs, and their range. Above 1 libdnn is faster; **bold** is a row below 1. The ratio of
memory is that of peak memory: below 1 libdnn needs less. `make bench` measures this machine and draws its own report.
)";

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// ---- libdnn beside its peer -----------------------------------------------------------------------------------------

auto work_of(const Row& r) { return std::tie(r.device, r.workload, r.phase, r.dtype, r.batch, r.threads); }

// The rows of one case, by mode; cases in the order of the file.
struct Case {
  Row first;
  std::map<std::string, std::vector<Row>> modes;

  static double rate(const std::vector<Row>& rows) {
    std::vector<double> rates;
    for (const Row& row : rows) rates.push_back(row.samples_per_s);
    return median(rates);
  }
  const std::vector<Row>& best() const {
    return std::ranges::max_element(modes, {}, [](const auto& mode) { return rate(mode.second); })->second;
  }
};

std::vector<Case> cases_of(const std::vector<Row>& rows) {
  std::vector<Case> cases;
  for (const Row& row : rows) {
    auto there = std::ranges::find_if(cases, [&](const Case& c) { return work_of(c.first) == work_of(row); });
    if (there == cases.end()) there = cases.insert(cases.end(), {row, {}});
    there->modes[row.mode].push_back(row);
  }
  return cases;
}

std::string with_mode(const std::vector<Row>& rows) {
  return fmt::format("{} ({})", rounded(Case::rate(rows)), rows.front().mode);
}

std::string memory_ratio(const std::vector<Row>& ours, const std::vector<Row>& peer) {
  const auto most = [](const std::vector<Row>& rows) {
    int64_t bytes = 0;
    for (const Row& row : rows) bytes = std::max(bytes, row.peak_bytes.value_or(0));
    return static_cast<double>(bytes);
  };
  return most(ours) > 0 && most(peer) > 0 ? fmt::format("{:.2f}", most(ours) / most(peer)) : "";
}

// "mlp infer: 0.98", and so on, as a sentence.
std::string sentence(const std::string& start, const std::vector<std::string>& rows) {
  if (rows.empty()) return start + ": none.\n";
  std::string text;
  for (const std::string& row : rows) text += (text.empty() ? "" : ", ") + row;
  return start + ": " + text + ".\n";
}

std::string pair_table(const json& table, const std::string& folder) {
  const std::vector<Row> our_rows = read_rows(folder + table.at("ours").get<std::string>()),
                         peer_rows = read_rows(folder + table.at("peer").get<std::string>());
  const std::vector<Case> ours = cases_of(our_rows), peers = cases_of(peer_rows);
  const json goals = table.value("goals", json::object());
  std::set<std::string> versions;
  std::vector<std::string> slower, below;
  double logarithms = 0;
  int compared = 0;
  std::string text =
      "| workload | phase | dtype | batch | libdnn, samples/s (mode) | PyTorch, samples/s (mode) | ratio | range | "
      "rounds | "
      "goal | memory |\n|---|---|---|--:|--:|--:|--:|---|--:|--:|--:|\n";
  for (const Case& c : ours) {
    const auto peer = std::ranges::find_if(peers, [&](const Case& p) { return work_of(p.first) == work_of(c.first); });
    const std::vector<Row>& a = c.best();
    versions.insert(a.front().framework + " " + a.front().version);
    const std::string name = c.first.workload + " " + c.first.phase;
    text += fmt::format("| {} | {} | {} | {} | {} | ", c.first.workload, c.first.phase, c.first.dtype, c.first.batch,
                        with_mode(a));
    if (peer == peers.end()) {
      text += "not measured | | | | | |\n";
      continue;
    }
    const std::vector<Row>& b = peer->best();
    versions.insert(b.front().framework + " " + b.front().version);
    std::vector<double> ratios;
    for (const Row& x : a)
      for (const Row& y : b)
        if (x.round == y.round) ratios.push_back(x.samples_per_s / y.samples_per_s);
    if (ratios.empty()) throw std::runtime_error("no round of " + name + " has both sides");
    const double ratio = median(ratios);
    const std::string shown = fmt::format("{:.2f}", ratio);
    logarithms += std::log(ratio), ++compared;
    if (ratio < 1) slower.push_back(name + " " + shown);
    std::string goal;
    if (goals.contains(c.first.workload)) {
      goal = fmt::format("{:.1f}", goals.at(c.first.workload).get<double>());
      if (ratio < goals.at(c.first.workload).get<double>()) below.push_back(name + " " + shown);
    }
    const auto [low, high] = std::ranges::minmax(ratios);
    text += fmt::format("{} | {} | {:.2f} to {:.2f} | {} | {} | {} |\n", with_mode(b),
                        ratio < 1 ? "**" + shown + "**" : shown, low, high, ratios.size(), goal, memory_ratio(a, b));
  }
  std::string names;
  for (const std::string& version : versions) names += (names.empty() ? "" : ", ") + version;
  text += fmt::format("\n{}. Geometric mean of {} ratios: {}.\n", names, compared,
                      compared > 0 ? fmt::format("{:.2f}", std::exp(logarithms / compared)) : "none");
  text += sentence("Slower than PyTorch", slower);
  if (!goals.empty()) text += sentence("Below the goal", below);

  std::set<std::string> modes;
  for (const Case& c : peers)
    for (const auto& [mode, rows] : c.modes) modes.insert(mode);
  text += "\nPyTorch in all its modes, samples/s:\n\n| workload | phase | dtype | batch |";
  for (const std::string& mode : modes) text += " " + mode + " |";
  text += "\n|---|---|---|--:|";
  for (size_t i = 0; i < modes.size(); ++i) text += "--:|";
  text += "\n";
  for (const Case& c : peers) {
    text += fmt::format("| {} | {} | {} | {} |", c.first.workload, c.first.phase, c.first.dtype, c.first.batch);
    for (const std::string& mode : modes)
      text += c.modes.contains(mode) ? fmt::format(" {} |", rounded(Case::rate(c.modes.at(mode)))) : " |";
    text += "\n";
  }
  return text;
}

// ---- kernels and plans on a GPU -------------------------------------------------------------------------------------

std::vector<json> json_lines(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with('{')) lines.push_back(json::parse(line));
  return lines;
}

// Of each side's step the total, then the kernels that take the most time.
std::string kernel_table(const json& table, const std::string& folder) {
  std::string text = "| framework | dtype, mode | kernel | launches | microseconds | MB |\n|---|---|---|--:|--:|--:|\n";
  std::vector<std::pair<std::string, std::vector<json>>> steps;
  for (const char* side : {"ours", "peer"})
    for (const json& kernel : json_lines(folder + table.at(side).get<std::string>())) {
      const std::string name = fmt::format("| {} | {}, {}", kernel.at("framework").get<std::string>(),
                                           kernel.at("dtype").get<std::string>(), kernel.at("mode").get<std::string>());
      auto step = std::ranges::find_if(steps, [&](const auto& s) { return s.first == name; });
      if (step == steps.end()) step = steps.insert(steps.end(), {name, {}});
      step->second.push_back(kernel);
    }
  for (auto& [name, kernels] : steps) {
    std::ranges::stable_sort(kernels, std::greater<>(), [](const json& k) { return k.at("us").get<double>(); });
    double us = 0, bytes = 0;
    int64_t launches = 0;
    bool known = true;
    for (const json& kernel : kernels) {
      us += kernel.at("us").get<double>(), launches += kernel.at("launches").get<int64_t>();
      known = known && !kernel.at("bytes").is_null();
      if (known) bytes += kernel.at("bytes").get<double>();
    }
    text += fmt::format("{} | all | {} | {} | {} |\n", name, launches, rounded(us), known ? rounded(bytes / 1e6) : "");
    for (size_t i = 0; i < std::min<size_t>(12, kernels.size()); ++i) {
      const json& kernel = kernels[i];
      std::string code = kernel.at("kernel").get<std::string>().substr(0, 60);
      std::ranges::replace(code, '|', '/');
      text += fmt::format("{} | `{}` | {} | {} | {} |\n", name, code, kernel.at("launches").get<int64_t>(),
                          rounded(kernel.at("us").get<double>()),
                          kernel.at("bytes").is_null() ? "" : rounded(kernel.at("bytes").get<double>() / 1e6));
    }
  }
  return text;
}

// Of each convolution, type and pass: the fastest plan beside the one that cuDNN's heuristics put first.
std::string plan_table(const json& table, const std::string& folder) {
  std::string text =
      "| convolution | dtype | pass | plans | fastest, microseconds | its name | TFLOP/s | the first, microseconds |\n"
      "|---|---|---|--:|--:|---|--:|--:|\n";
  std::vector<std::pair<std::string, std::vector<json>>> groups;
  for (const json& plan : json_lines(folder + table.at("ours").get<std::string>())) {
    const std::string name = fmt::format("| {} | {} | {} |", plan.at("convolution").get<std::string>(),
                                         plan.at("dtype").get<std::string>(), plan.at("pass").get<std::string>());
    auto group = std::ranges::find_if(groups, [&](const auto& g) { return g.first == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, {}});
    group->second.push_back(plan);
  }
  const auto us = [](const json& plan) { return plan.at("us").get<double>(); };
  for (const auto& [name, plans] : groups) {
    const json& best = *std::ranges::min_element(plans, {}, us);
    text += fmt::format("{} {} | {} | `{}` | {} | {} |\n", name, plans.size(), rounded(us(best)),
                        best.at("plan").get<std::string>(), rounded(best.at("flops").get<double>() / us(best) / 1e6),
                        rounded(us(plans.front())));
  }
  return text;
}

// ---- the page -------------------------------------------------------------------------------------------------------

std::string section(const json& table, const std::string& folder) {
  std::string text = fmt::format("\n## {}\n\n", table.at("title").get<std::string>());
  for (const char* file : {"ours", "peer"})
    if (table.contains(file) && !std::filesystem::exists(folder + table.at(file).get<std::string>()))
      return text +
             fmt::format("Not measured yet. The command:\n\n```\n{}\n```\n", table.at("command").get<std::string>());
  text += table.at("machine").get<std::string>() + "\n\n```\n" + table.at("command").get<std::string>() + "\n```\n\n";
  const std::string kind = table.at("kind");
  if (kind == "pair") return text + pair_table(table, folder);
  if (kind == "kernels") return text + kernel_table(table, folder);
  if (kind == "plans") return text + plan_table(table, folder);
  throw std::runtime_error("tables.json: the kind is " + kind + ", expected pair, kernels or plans");
}

std::string page(const std::string& docs) {
  const std::string folder = docs + "/benchmarks/";
  std::ifstream file(folder + "tables.json");
  if (!file) throw std::runtime_error("there is no " + folder + "tables.json");
  std::string text = head;
  for (const json& table : json::parse(file)) text += section(table, folder);
  if (const std::string notes = read(folder + "notes.md"); !notes.empty()) text += "\n" + notes;
  return text;
}

// The first line in which two texts differ, as both have it.
std::string first_difference(const std::string& there, const std::string& made) {
  std::istringstream a(there), b(made);
  for (int number = 1;; ++number) {
    std::string line, other;
    const bool more = bool(std::getline(a, line)), others = bool(std::getline(b, other));
    if (more == others && line == other && more) continue;
    return fmt::format("line {}\n  is       {}\n  expected {}", number, line, other);
  }
}

}  // namespace

int main(int count, char** arguments) try {
  const bool check = count == 3 && std::string(arguments[2]) == "--check";
  if (count != 2 && !check) throw std::runtime_error("expected the folder docs, and --check or nothing");
  const std::string path = std::string(arguments[1]) + "/benchmarks.md", made = page(arguments[1]);
  if (!check) {
    std::ofstream file(path);
    file << made;
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
    return 0;
  }
  const std::string there = read(path);
  if (there == made) return 0;
  throw std::runtime_error(fmt::format("{} is not what this program makes: {}\nmake it anew: {} {}", path,
                                       first_difference(there, made), arguments[0], arguments[1]));
} catch (const std::exception& error) {
  std::cerr << "benchmarks_page: " << error.what() << "\n";
  return 1;
}
