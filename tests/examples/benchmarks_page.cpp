// Makes docs/benchmarks.md and its pictures from the measurements in docs/benchmarks: which files make which table, and
// by which command they came to be, stands in docs/benchmarks/tables.json; what there is to say about rows stands in
// notes.md.
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

#include "examples/bench/charts.h"
#include "examples/bench/numbers.h"
#include "examples/bench/pairs.h"
#include "examples/bench/svg.h"

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
memory is that of peak memory, over the mode of PyTorch that needs least (a compiled mode's peak is the compiler's): below 1 libdnn needs
less. `make bench` measures this machine and draws its own report.
)";

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// ---- libdnn beside its peer -----------------------------------------------------------------------------------------

std::string with_mode(const Row& row) { return fmt::format("{} ({})", rounded(row.samples_per_s), row.mode); }

// "mlp infer: 0.98", and so on, as a sentence.
std::string sentence(const std::string& start, const std::vector<std::string>& rows) {
  if (rows.empty()) return start + ": none.\n";
  std::string text;
  for (const std::string& row : rows) text += (text.empty() ? "" : ", ") + row;
  return start + ": " + text + ".\n";
}

// The page's text for a pair of files, and its picture.
struct PairSection {
  std::string text, picture;
};

PairSection pair_section(const json& table, const std::string& folder) {
  const std::vector<Row> our_rows = read_rows(folder + table.at("ours").get<std::string>()),
                         peer_rows = read_rows(folder + table.at("peer").get<std::string>());
  const std::vector<Work> ours = works_of(our_rows), peers = works_of(peer_rows);
  const json goals = table.value("goals", json::object());
  std::set<std::string> versions;
  std::vector<std::string> slower, below, larger;
  std::vector<Pair> compared;
  double logarithms = 0;
  std::string text =
      "| workload | phase | dtype | batch | libdnn, samples/s (mode) | PyTorch, samples/s (mode) | ratio | range | "
      "rounds | goal | memory |\n|---|---|---|--:|--:|--:|--:|---|--:|--:|--:|\n";
  for (const Work& work : ours) {
    const auto peer = std::ranges::find_if(peers, [&](const Work& other) { return work.same_as(other); });
    const Row& what = work.first;
    const std::string start = fmt::format("| {} | {} | {} | {} | ", what.workload, what.phase, what.dtype, what.batch);
    versions.insert(what.framework + " " + what.version);
    if (peer == peers.end()) {
      text += fmt::format("{}{} | not measured | | | | | |\n", start, with_mode(medians(work.best()).front()));
      continue;
    }
    versions.insert(peer->first.framework + " " + peer->first.version);
    const std::string name = what.workload + " " + what.phase;
    const std::optional<Pair> pair = pair_of(work, *peer);
    if (!pair) throw std::runtime_error("no round of " + name + " has both sides");
    compared.push_back(*pair);
    const std::string shown = fmt::format("{:.2f}", pair->ratio);
    logarithms += std::log(pair->ratio);
    if (pair->ratio < 1) slower.push_back(name + " " + shown);
    if (pair->memory.value_or(0) > 1) larger.push_back(fmt::format("{} {:.2f}", name, *pair->memory));
    std::string goal;
    if (goals.contains(what.workload)) {
      const double wanted = goals.at(what.workload);
      goal = fmt::format("{:.1f}", wanted);
      if (pair->ratio < wanted) below.push_back(name + " " + shown);
    }
    text += fmt::format("{}{} | {} | {} | {:.2f} to {:.2f} | {} | {} | {} |\n", start, with_mode(pair->ours),
                        with_mode(pair->peer), pair->ratio < 1 ? "**" + shown + "**" : shown, pair->low, pair->high,
                        pair->rounds, goal, pair->memory ? fmt::format("{:.2f}", *pair->memory) : "");
  }
  std::string names;
  for (const std::string& version : versions) names += (names.empty() ? "" : ", ") + version;
  const double mean = std::exp(logarithms / std::max(1.0, static_cast<double>(compared.size())));
  text += fmt::format("\n{}. Geometric mean of {} ratios: {:.2f}.\n", names, compared.size(), mean);
  text += sentence("Slower than PyTorch", slower);
  if (!goals.empty()) text += sentence("Below the goal", below);
  text += sentence("More memory than PyTorch", larger);

  std::set<std::string> modes;
  for (const Work& work : peers)
    for (const auto& [mode, rows] : work.modes) modes.insert(mode);
  text += "\nPyTorch in all its modes, samples/s:\n\n| workload | phase | dtype | batch |";
  for (const std::string& mode : modes) text += " " + mode + " |";
  text += "\n|---|---|---|--:|";
  for (size_t i = 0; i < modes.size(); ++i) text += "--:|";
  text += "\n";
  for (const Work& work : peers) {
    const Row& what = work.first;
    text += fmt::format("| {} | {} | {} | {} |", what.workload, what.phase, what.dtype, what.batch);
    for (const std::string& mode : modes)
      text += work.modes.contains(mode) ? fmt::format(" {} |", rounded(rate(work.modes.at(mode)))) : " |";
    text += "\n";
  }
  return {text, compared.empty() ? "" : standalone(ratio_chart(compared))};
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

// Of each convolution or normalisation, type and pass: the fastest plan beside the first, which is the one that cuDNN's
// heuristics put first, or our own kernels.
std::string plan_table(const json& table, const std::string& folder) {
  std::string text =
      "| problem | dtype | pass | plans | fastest, microseconds | its name | TFLOP/s | the first, microseconds |\n"
      "|---|---|---|--:|--:|---|--:|--:|\n";
  std::vector<std::pair<std::string, std::vector<json>>> groups;
  for (const json& plan : json_lines(folder + table.at("ours").get<std::string>())) {
    const std::string name =
        fmt::format("| {} | {} | {} |", plan.at(plan.contains("norm") ? "norm" : "convolution").get<std::string>(),
                    plan.at("dtype").get<std::string>(), plan.at("pass").get<std::string>());
    auto group = std::ranges::find_if(groups, [&](const auto& g) { return g.first == name; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, {}});
    group->second.push_back(plan);
  }
  const auto us = [](const json& plan) { return plan.at("us").get<double>(); };
  for (const auto& [name, plans] : groups) {
    const json& best = *std::ranges::min_element(plans, {}, us);
    text += fmt::format("{} {} | {} | `{}` | {} | {} |\n", name, plans.size(), rounded(us(best)),
                        best.at("plan").get<std::string>(),
                        best.contains("flops") ? rounded(best.at("flops").get<double>() / us(best) / 1e6) : "",
                        rounded(us(plans.front())));
  }
  return text;
}

// Of each kernel and pass the largest size, in bold below 85 % of the bandwidth of a copy; those bound by arithmetic
// too.
std::string bandwidth_table(const json& table, const std::string& folder) {
  struct Largest {
    int64_t size = 0;
    json row;
  };
  std::vector<std::pair<std::string, Largest>> kernels;
  for (const json& row : json_lines(folder + table.at("ours").get<std::string>())) {
    std::istringstream name(row.at("name").get<std::string>());  // family/kernel/pass/device/size/...
    std::string kernel, part, size;
    for (int i = 0; i < 3 && std::getline(name, part, '/'); ++i) kernel += "| " + part + " ";
    std::getline(name, part, '/'), std::getline(name, size, '/');
    auto known = std::ranges::find_if(kernels, [&](const auto& k) { return k.first == kernel; });
    if (known == kernels.end()) known = kernels.insert(kernels.end(), {kernel, {}});
    if (const int64_t n = std::stoll(size); n > known->second.size) known->second = {n, row};
  }
  std::string text =
      "| family | kernel | pass | size | microseconds | GB/s | of a copy |\n|---|---|---|--:|--:|--:|--:|\n";
  for (const auto& [kernel, largest] : kernels) {
    text += fmt::format("{}| {} | ", kernel, largest.size);
    if (const json& error = largest.row.at("error"); !error.is_null()) {
      text += error.get<std::string>() + " | | |\n";
      continue;
    }
    const double share = largest.row.at("of_copy").get<double>();
    text += fmt::format("{} | {} | {} |\n", rounded(largest.row.at("us").get<double>()),
                        rounded(largest.row.at("bytes_per_second").get<double>() / 1e9),
                        share < 0.85 ? fmt::format("**{:.2f}**", share) : fmt::format("{:.2f}", share));
  }
  return text;
}

// ---- the page -------------------------------------------------------------------------------------------------------

// What is made: texts by their paths.
using Files = std::map<std::string, std::string>;

std::string section(const json& table, const std::string& folder, Files& pictures) {
  std::string text = fmt::format("\n## {}\n\n", table.at("title").get<std::string>());
  const std::string ours = table.at("ours"), command = "```\n" + table.at("command").get<std::string>() + "\n```\n";
  for (const char* file : {"ours", "peer"})
    if (table.contains(file) && !std::filesystem::exists(folder + table.at(file).get<std::string>()))
      return text + "Not measured yet. The command:\n\n" + command;
  text += table.at("machine").get<std::string>() + "\n\n" + command + "\n";
  const std::string kind = table.at("kind");
  if (kind == "kernels") return text + kernel_table(table, folder);
  if (kind == "plans") return text + plan_table(table, folder);
  if (kind == "bandwidth") return text + bandwidth_table(table, folder);
  if (kind != "pair")
    throw std::runtime_error("tables.json: the kind is " + kind + ", expected pair, kernels, bandwidth or plans");
  const PairSection pair = pair_section(table, folder);
  if (pair.picture.empty()) return text + pair.text;
  const std::string name = ours.substr(0, ours.find("-dnn.jsonl")) + ".svg";
  pictures[folder + name] = pair.picture;
  return text + fmt::format("![speed over PyTorch's](benchmarks/{})\n\n", name) + pair.text;
}

// The page and its pictures.
Files files(const std::string& docs) {
  const std::string folder = docs + "/benchmarks/";
  std::ifstream file(folder + "tables.json");
  if (!file) throw std::runtime_error("there is no " + folder + "tables.json");
  Files made;
  std::string text = head;
  for (const json& table : json::parse(file)) text += section(table, folder, made);
  if (const std::string notes = read(folder + "notes.md"); !notes.empty()) text += "\n" + notes;
  made[docs + "/benchmarks.md"] = text;
  return made;
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
  for (const auto& [path, made] : files(arguments[1])) {
    if (!check) {
      std::ofstream file(path);
      file << made;
      if (!file.flush()) throw std::runtime_error("cannot write " + path);
    } else if (const std::string there = read(path); there != made) {
      throw std::runtime_error(fmt::format("{} is not what this program makes: {}\nmake it anew: {} {}", path,
                                           first_difference(there, made), arguments[0], arguments[1]));
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "benchmarks_page: " << error.what() << "\n";
  return 1;
}
