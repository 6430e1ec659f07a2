// Makes docs/models.md: the networks with what they cost, measured, and what they reach, from docs/benchmarks/
// accuracy.json.
//
//   dnn_models_page docs           writes docs/models.md
//   dnn_models_page docs --check   fails when that would change it
//
// The numbers of the first table do not depend on time, threads or the values of weights: every build makes the same
// page.
#include <dnn/dnn.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace dnn;
using nlohmann::json;

constexpr const char* networks_head = R"(# The networks

Made by `tests/layers/models_page.cpp`, which measures; do not edit. After a change:

```
cmake --build --preset release --target dnn_models_page && build/release/tests/layers/dnn_models_page docs
```

`create_model(name)` makes each of them, and so does `train --model NAME`. `resnetN` and `plainN` for
small images come in every depth N = 6 n + 2 but 50 and 152, which are the large ones. Classes, channels and width are options, and the size of the images where it matters.

MACs are multiplications with an addition in one forward pass. Activations are the bytes that a forward pass in training on one
image leaves in memory, in float32 on the CPU: the output and everything that the graph keeps for the backward pass. Parameters,
their gradients and the image itself are not counted, nor what a kernel needs while it runs.

| network | input | classes | parameters | MACs | activations, bytes | paper |
|---|---|--:|--:|--:|--:|--:|
)";

constexpr const char* results_head = R"(
## What they reach

Test accuracy after the last epoch; of several seeds the mean, then each. The results stand in `benchmarks/accuracy.json`; the
programs are those of `examples`.

| network | data | test accuracy | seeds | date | command |
|---|---|--:|---|---|---|
)";

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string size_of_input(const Shape& shape) { return fmt::format("{} x {} x {}", shape[0], shape[1], shape[2]); }

// What a forward pass in training on one image leaves in memory: the output and all that the graph keeps for the
// backward pass.
int64_t activation_bytes(Layer& net, const Shape& input) {
  const Tensor x = zeros(input.with(0, 1));
  const int64_t before = memory_stats().in_use;
  const Tensor y = net(x);
  return memory_stats().in_use - before;
}

// The papers, numbered in the order in which they come.
struct References {
  std::vector<std::string> list;

  size_t number_of(const std::string& reference) {
    const auto found = std::ranges::find(list, reference);
    if (found != list.end()) return static_cast<size_t>(found - list.begin()) + 1;
    list.push_back(reference);
    return list.size();
  }
};

std::string row(const ModelInfo& info, References& references) {
  NoInit no_init;
  const std::unique_ptr<Layer> net = create_model(info.name);
  const Summary result = summary(*net, info.input);
  return fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", info.name, size_of_input(info.input), info.classes,
                     with_commas(result.parameters), with_commas(result.macs),
                     with_commas(activation_bytes(*net, info.input)), references.number_of(info.reference));
}

// "82.51 %", or of several seeds "99.10 % (99.05, 99.10, 99.15)".
std::string accuracy_of(const json& runs) {
  double sum = 0;
  std::string each;
  for (const json& run : runs) {
    const double accuracy = run.at("accuracy");
    sum += accuracy;
    each += fmt::format("{}{:.2f}", each.empty() ? "" : ", ", accuracy);
  }
  const std::string mean = fmt::format("{:.2f} %", sum / static_cast<double>(runs.size()));
  return runs.size() == 1 ? mean : fmt::format("{} ({})", mean, each);
}

std::string seeds_of(const json& runs) {
  std::string seeds;
  for (const json& run : runs) seeds += fmt::format("{}{}", seeds.empty() ? "" : ", ", run.at("seed").get<int64_t>());
  return seeds;
}

std::string result_row(const json& result) {
  const json& runs = result.at("runs");
  if (!runs.is_array() || runs.empty()) throw std::runtime_error("accuracy.json: a result has no runs");
  return fmt::format("| {} | {} | {} | {} | {} | `{}` |\n", result.at("model").get<std::string>(),
                     result.at("data").get<std::string>(), accuracy_of(runs), seeds_of(runs),
                     result.at("date").get<std::string>(), result.at("command").get<std::string>());
}

std::string page(const std::string& folder) {
  std::ifstream file(folder + "/benchmarks/accuracy.json");
  if (!file) throw std::runtime_error("there is no " + folder + "/benchmarks/accuracy.json");
  std::string text = networks_head;
  References references;
  for (const ModelInfo& info : models()) text += row(info, references);
  text += "\n";
  for (size_t i = 0; i < references.list.size(); ++i) text += fmt::format("{}. {}\n", i + 1, references.list[i]);
  text += results_head;
  for (const json& result : json::parse(file)) text += result_row(result);
  return text;
}

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
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
  const std::string path = std::string(arguments[1]) + "/models.md", made = page(arguments[1]);
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
  std::cerr << "models_page: " << error.what() << "\n";
  return 1;
}
