// Captured steps: when a call is an ordinary one, when it is recorded, when it is a launch.
//
// A call that is recorded has done to the host what an ordinary one does, and launching its graph once does the rest,
// so it is right whatever comes of it. The graph is kept for repetitions when the trace is that of the call before.
#include "dnn/capture.h"

#include <algorithm>
#include <list>

#include "core/capture.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "core/text.h"
#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/precision.h"

namespace dnn::detail {

namespace {

// How often calls may differ, and graphs be outdated, before a step stays an ordinary one.
constexpr int most_changes = 3;

int64_t bytes_of(const Tensor& t) { return t.numel() * static_cast<int64_t>(size_of(t.dtype())); }

// What has a graph of its own.
struct Key {
  struct Input {
    bool defined;
    Shape shape;
    DType dtype;
    Device device;
    Layout layout;
    friend bool operator==(const Input&, const Input&) = default;
  };
  std::vector<Input> inputs;
  bool grad;
  Tf32 tf32;
  DType autocast;
  bool any_order;  // of sums
  int64_t mode;
  friend bool operator==(const Key&, const Key&) = default;
};

// Memory that no other step is given.
class StepMemory {
 public:
  explicit StepMemory(Device device) : device_(device), memory_(runtime(device).make_step_memory(device.index())) {}
  ~StepMemory() { runtime_table(device_.type()).release_step_memory(memory_, device_.index()); }
  StepMemory(const StepMemory&) = delete;
  StepMemory& operator=(const StepMemory&) = delete;
  void* get() const { return memory_; }
  Device device() const { return device_; }

 private:
  const Device device_;
  void* const memory_;
};

// A graph with all that it needs.
class StepGraph {
 public:
  explicit StepGraph(std::shared_ptr<StepMemory> memory)
      : memory_(std::move(memory)), table_(runtime(memory_->device())) {}
  ~StepGraph() {
    outputs_.clear();
    if (graph_ != nullptr) table_.release_graph(graph_);
  }
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  void take(void* graph) { graph_ = graph; }
  void complete(std::unique_ptr<Recorder::Requirements> requirements, std::vector<Tensor> outputs) {
    requirements_ = std::move(requirements);
    outputs_ = std::move(outputs);
  }
  std::string what_changed() const { return requirements_->what_changed(); }
  int64_t nodes() const { return table_.graph_nodes(graph_); }
  std::vector<Tensor> launch() {
    table_.launch_graph(graph_);
    return outputs();
  }
  std::vector<Tensor> repeat() {
    requirements_->repeat_effects();
    return launch();
  }

 private:
  std::vector<Tensor> outputs() const {
    std::vector<Tensor> handles;
    for (const Tensor& t : outputs_) {
      if (t.defined()) bump_version(t);
      handles.push_back(t.defined() ? t.detach() : t);
    }
    return handles;
  }

  const std::shared_ptr<StepMemory> memory_;
  const DeviceRuntime& table_;
  void* graph_ = nullptr;
  std::unique_ptr<Recorder::Requirements> requirements_;
  std::vector<Tensor> outputs_;
};

// The calls of one key.
struct Variant {
  Key key;
  std::vector<Tensor> places = {};     // of the inputs, the same ones in all calls: plans depend on alignments
  int64_t ordinary = 0;                // calls still to be made before one is recorded
  int changes = 0;                     // times in a row that a recording was in vain
  int repeated = 0;                    // launches of the graph after the first
  std::vector<TraceEntry> trace = {};  // of the last call
  std::string obstacle = {};           // of the last call, or why it stays an ordinary one
  std::unique_ptr<StepGraph> graph = nullptr;
};

std::string difference(const std::vector<TraceEntry>& before, const std::vector<TraceEntry>& now) {
  const auto [b, n] = std::mismatch(before.begin(), before.end(), now.begin(), now.end());
  const auto name = [](const auto& at, const auto& list) { return at == list.end() ? "nothing" : at->name; };
  return fmt::format("two calls differ at operation {}: {} and {}", n - now.begin() + 1, name(b, before),
                     name(n, now)) +
         (name(b, before) == std::string(name(n, now)) ? " of other shapes, tensors or numbers" : "");
}

}  // namespace

class StepGraphs {
 public:
  StepGraphs(CapturedStep::Function step, CaptureOptions options)
      : step_(std::move(step)), options_(std::move(options)) {
    if (options_.eager_calls < 1)
      throw ArgumentError(fmt::format("capture: eager_calls is {}, expected at least 1", options_.eager_calls));
    if (options_.most_graphs < 1)
      throw ArgumentError(fmt::format("capture: most_graphs is {}, expected at least 1", options_.most_graphs));
  }

  std::vector<Tensor> call(const std::vector<Tensor>& given) {
    std::optional<Device> device;
    const std::vector<Tensor> inputs = brought(given, device);
    if (inputs.empty() && options_.device && options_.device->is_cuda()) device = options_.device;
    if (!device) return plain(inputs, inputs.empty() ? "it has no inputs, and no GPU" : "its inputs lie on the CPU");
    const DeviceRuntime& table = runtime(*device);
    if (table.begin_capture == nullptr) return plain(inputs, fmt::format("{} has no graphs", *device));
    if (is_profiling()) return plain(inputs, "a profiler watches it");
    if (current_recorder != nullptr) return plain(inputs, "it is part of another captured step");
    if (const std::string why = table.why_no_capture(device->index()); !why.empty()) return plain(inputs, why);

    Variant& variant = variant_of(inputs);
    if (variant.graph) {
      const std::string change = variant.graph->what_changed();
      if (change.empty()) return repeat(variant, inputs);
      variant.graph = nullptr;
      variant.ordinary = 2;  // what is made once is made in the first of them
      outdated(variant, change);
    }
    if (variant.changes >= most_changes) return plain(inputs, variant.obstacle);
    if (variant.ordinary > 0 || (!options_.required && !variant.obstacle.empty()))
      return watch(variant, inputs, *device);
    return record(variant, inputs, *device);
  }

  int64_t graphs() const {
    return std::count_if(variants_.begin(), variants_.end(), [](const Variant& v) { return v.graph != nullptr; });
  }
  void invalidate() {
    for (Variant& variant : variants_) variant.graph = nullptr, variant.changes = 0;
  }

  int64_t repetitions = 0, recordings = 0, nodes = 0;
  std::string why_eager;

 private:
  // The inputs where the step wants them, without gaps and outside of autograd; `device` is their GPU, if there is one.
  std::vector<Tensor> brought(const std::vector<Tensor>& given, std::optional<Device>& device) {
    std::vector<Tensor> inputs;
    for (const Tensor& t : given) {
      if (!t.defined()) {
        inputs.push_back(t);
        continue;
      }
      const NoGrad no_grad;
      inputs.push_back((options_.device ? t.detach().to(*options_.device) : t.detach()).contiguous());
      const Device here = inputs.back().device();
      if (here.is_cpu()) continue;
      if (device && *device != here)
        throw DeviceError(fmt::format("capture: the inputs lie on {} and {}, expected one GPU", *device, here));
      device = here;
    }
    return inputs;
  }

  Variant& variant_of(const std::vector<Tensor>& inputs) {
    Key key{.inputs = {},
            .grad = grad_enabled(),
            .tf32 = tf32_allowed(),
            .autocast = autocast_dtype(),
            .any_order = nondeterminism_allowed(),
            .mode = options_.mode ? options_.mode() : 0};
    for (const Tensor& t : inputs)
      key.inputs.push_back(t.defined() ? Key::Input{true, t.shape(), t.dtype(), t.device(), layout_of(t)}
                                       : Key::Input{});
    const auto found = std::find_if(variants_.begin(), variants_.end(), [&](const Variant& v) { return v.key == key; });
    if (found != variants_.end()) {
      variants_.splice(variants_.begin(), variants_, found);
    } else {
      variants_.push_front({.key = std::move(key), .ordinary = options_.eager_calls});
      if (static_cast<int64_t>(variants_.size()) > options_.most_graphs) variants_.pop_back();
    }
    return variants_.front();
  }

  std::vector<Tensor> detached(std::vector<Tensor> outputs) const {
    for (Tensor& t : outputs)
      if (t.defined()) t = t.detach();
    return outputs;
  }

  std::vector<Tensor> plain(const std::vector<Tensor>& inputs, std::string why) {
    why_eager = std::move(why);
    return detached(step_(inputs));
  }

  // Copies the inputs to their places, and returns these.
  std::vector<Tensor> placed(Variant& variant, const std::vector<Tensor>& inputs) const {
    std::vector<Tensor> handles;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& t = inputs[i];
      if (variant.places.size() <= i) variant.places.push_back(t.defined() ? allocate_like(t) : t);
      if (t.defined()) {
        Storage& to = *Access::impl(variant.places[i]).storage;
        const Tensor from = in_layout(t, layout_of(variant.places[i]));  // which the step may have changed
        if (t.numel() > 0) runtime(t.device()).copy(to.data, to.device, raw(from), t.device(), bytes_of(t));
        ++to.version;
      }
      handles.push_back(t.defined() ? variant.places[i].detach() : t);
    }
    return handles;
  }

  std::vector<Tensor> watch(Variant& variant, const std::vector<Tensor>& inputs, Device device) {
    const std::vector<Tensor> handles = placed(variant, inputs);
    Recorder recorder(handles, device, false, options_.required);
    std::vector<Tensor> outputs = detached(step_(handles));
    if (variant.ordinary > 0) --variant.ordinary;
    variant.obstacle = recorder.obstacle();
    variant.trace = recorder.trace();
    why_eager = variant.obstacle.empty()
                    ? fmt::format("an ordinary call, {} more before it is recorded", variant.ordinary)
                    : variant.obstacle;
    return outputs;
  }

  std::vector<Tensor> record(Variant& variant, const std::vector<Tensor>& inputs, Device device) {
    const DeviceRuntime& table = runtime(device);
    if (!memory_ || memory_->device() != device) memory_ = std::make_shared<StepMemory>(device);
    const std::vector<Tensor> handles = placed(variant, inputs);
    auto graph = std::make_unique<StepGraph>(memory_);
    Recorder recorder(handles, device, true, options_.required);
    table.begin_capture(memory_->get(), device.index());
    std::vector<Tensor> outputs;
    try {
      outputs = detached(step_(handles));
    } catch (const OutOfMemory& error) {
      if (options_.required || !recorder.undo()) throw;
      graph = nullptr, memory_ = nullptr;  // the call needs what it holds
      variant.changes = most_changes;
      return plain(inputs, variant.obstacle = error.what());
    }
    std::vector<TraceEntry> trace = recorder.trace();  // an ordinary call leaves its results as they are
    for (const Tensor& t : outputs)
      if (t.defined()) make_plain(t);  // in the graph: nobody can do so later
    const bool whole = recorder.is_recording();
    const std::string obstacle = recorder.obstacle();
    if (!whole) {  // interrupted, the rest was an ordinary call
      variant.obstacle = why_eager = obstacle;
      variant.trace = std::move(trace);
      return outputs;
    }
    graph->take(table.end_capture(device.index()));
    graph->complete(recorder.take_requirements(), std::move(outputs));
    ++recordings;
    nodes = graph->nodes();
    why_eager.clear();
    std::vector<Tensor> results = graph->launch();
    const bool same = variant.trace == trace;
    if (!same) outdated(variant, difference(variant.trace, trace));
    if (!obstacle.empty()) outdated(variant, obstacle);
    variant.trace = std::move(trace);
    if (same && obstacle.empty())
      variant.graph = std::move(graph);
    else
      why_eager = variant.obstacle;
    return results;  // in memory of their own, also where the graph goes
  }

  std::vector<Tensor> repeat(Variant& variant, const std::vector<Tensor>& inputs) {
    placed(variant, inputs);
    if (++variant.repeated > 1) variant.changes = 0;
    ++repetitions;
    nodes = variant.graph->nodes();
    why_eager.clear();
    return variant.graph->repeat();
  }

  void outdated(Variant& variant, const std::string& why) {
    ++variant.changes;
    variant.repeated = 0;
    variant.obstacle = why;
  }

  const CapturedStep::Function step_;
  const CaptureOptions options_;
  std::shared_ptr<StepMemory> memory_;
  std::list<Variant> variants_;  // most recently used first
};

// ---- the public side -----------------------------------------------------------------------------------------------

CapturedStep::CapturedStep(Function step, CaptureOptions options)
    : graphs_(std::make_unique<StepGraphs>(std::move(step), std::move(options))) {}
CapturedStep::~CapturedStep() = default;
CapturedStep::CapturedStep(CapturedStep&&) noexcept = default;
CapturedStep& CapturedStep::operator=(CapturedStep&&) noexcept = default;

std::vector<Tensor> CapturedStep::operator()(const std::vector<Tensor>& inputs) { return graphs_->call(inputs); }
int64_t CapturedStep::graphs() const { return graphs_->graphs(); }
int64_t CapturedStep::nodes() const { return graphs_->nodes; }
int64_t CapturedStep::repetitions() const { return graphs_->repetitions; }
int64_t CapturedStep::recordings() const { return graphs_->recordings; }
const std::string& CapturedStep::why_eager() const { return graphs_->why_eager; }
void CapturedStep::invalidate() { graphs_->invalidate(); }

}  // namespace dnn::detail
