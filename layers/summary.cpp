// The summary of a net: a run with a hook on every layer, and the table.
#include "dnn/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <unordered_map>
#include <unordered_set>

#include "dnn/autograd.h"
#include "dnn/ops/factory.h"

namespace dnn {

namespace {

// In evaluation while it lives.
class Evaluation {
 public:
  explicit Evaluation(Module& net) {
    for (const auto& [name, module] : net.modules()) modes_.emplace_back(module, module->training());
    net.eval();
  }
  // Outer modules come before inner ones, and `train` sets all inside.
  ~Evaluation() {
    for (const auto& [module, training] : modes_) module->train(training);
  }
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> modes_;
};

// What the calls of a layer came to.
struct Calls {
  Shape output;
  int64_t macs = 0;
};

// Hooks on every layer while it lives.
class Watch {
 public:
  explicit Watch(Module& net) {
    for (const auto& [name, module] : net.modules()) {
      auto* const layer = dynamic_cast<Layer*>(module);
      if (layer == nullptr) continue;
      hooks_.emplace_back(layer, layer->register_forward_hook([this](const Layer& l, const Tensor& x, const Tensor& y) {
        Calls& calls = calls_[&l];
        calls.output = y.shape();
        calls.macs += l.macs(x.shape(), y.shape());
      }));
    }
  }
  ~Watch() {
    for (const auto& [layer, id] : hooks_) layer->remove_forward_hook(id);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  const Calls* find(const Module* module) const {
    const auto found = calls_.find(module);
    return found == calls_.end() ? nullptr : &found->second;
  }

 private:
  std::vector<std::pair<Layer*, int>> hooks_;
  std::unordered_map<const Module*, Calls> calls_;
};

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

// 1234567 -> "1.23 M", in steps of `step`.
std::string scaled(int64_t number, double step, const std::vector<std::string>& units) {
  auto value = static_cast<double>(number);
  size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) value /= step, ++unit;
  return unit == 0 ? std::to_string(number) + units[0] : fmt::format("{:.2f} {}", value, units[unit]);
}

}  // namespace

Summary summary(Layer& net, const Shape& input, const SummaryOptions& options) {
  Summary result;
  result.type = net.type_name();
  result.input = input.with(0, 1);
  const std::vector<Tensor> parameters = net.parameters();
  TensorOptions like;
  if (!parameters.empty()) like = parameters.front().options();
  if (options.dtype) like.dtype = *options.dtype;

  Watch watch(net);
  {
    NoGrad no_grad;
    const Evaluation evaluation(net);
    net(zeros(result.input, like));
  }

  std::unordered_set<const Shape*> seen;  // of tensors: all handles of one see one Shape object
  for (const auto& [path, module] : net.modules()) {
    SummaryRow row{.path = path, .type = module->type_name()};
    bool owner = false, parent = false;
    for (const auto& [name, member] : module->members()) {
      parent = parent || std::holds_alternative<Module*>(member);
      const auto* const parameter = std::get_if<Parameter*>(&member);
      if (parameter == nullptr || !(*parameter)->defined()) continue;
      owner = true;
      const Tensor& t = **parameter;
      if (!seen.insert(&t.shape()).second) continue;
      row.parameters += t.numel();
      if (t.requires_grad()) row.trainable += t.numel();
      result.parameter_bytes += t.numel() * static_cast<int64_t>(size_of(t.dtype()));
    }
    if (const Calls* const calls = watch.find(module)) row.output = calls->output, row.macs = calls->macs;
    result.parameters += row.parameters, result.trainable += row.trainable, result.macs += row.macs;
    if (owner || !parent) result.rows.push_back(row);
  }
  return result;
}

std::string Summary::str() const {
  std::vector<std::vector<std::string>> table{{"layer (type)", "output", "parameters", "MACs"}};
  for (const SummaryRow& row : rows)
    table.push_back({row.path.empty() ? row.type : fmt::format("{} ({})", row.path, row.type),
                     row.output ? row.output->str() : "not run", with_commas(row.parameters), with_commas(row.macs)});
  std::vector<size_t> widths(4);
  for (const auto& cells : table)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  const std::string line(widths[0] + widths[1] + widths[2] + widths[3] + 6, '-');

  std::string text = fmt::format("{} on {}\n{}\n", type, input.str(), line);
  for (size_t i = 0; i < table.size(); ++i) {
    const auto& cells = table[i];
    text += fmt::format("{:<{}}  {:<{}}  {:>{}}  {:>{}}\n", cells[0], widths[0], cells[1], widths[1], cells[2],
                        widths[2], cells[3], widths[3]);
    if (i == 0) text += line + "\n";
  }
  text += line + "\n";
  text +=
      fmt::format("parameters: {} ({} trainable, {} frozen), {}\n", with_commas(parameters), with_commas(trainable),
                  with_commas(parameters - trainable), scaled(parameter_bytes, 1024, {" bytes", "KiB", "MiB", "GiB"}));
  text += fmt::format("MACs per sample: {}\n", scaled(macs, 1000, {"", "thousand", "million", "billion", "trillion"}));
  return text;
}

std::ostream& operator<<(std::ostream& stream, const Summary& summary) { return stream << summary.str(); }

}  // namespace dnn
