// Watching one call of a captured step.
#include <algorithm>

#include "core/capture.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "core/text.h"
#include "dnn/error.h"
#include "dnn/random.h"

namespace dnn::detail {

constinit thread_local Recorder* current_recorder = nullptr;

namespace {

// What `take` gives, which a repetition asks anew.
Draw repeated_draw(const std::function<Draw()>& take) {
  Draw draw = take();
  if (!is_recording()) return draw;
  const auto again = std::make_shared<Draw>(draw);
  current_recorder->repeat_later([again, take] { *again = take(); });
  draw.again = again;
  return draw;
}

}  // namespace

// ---- the trace -----------------------------------------------------------------------------------------------------

void TraceHash::bytes(const void* data, size_t size) {
  const auto* const from = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) value_ = (value_ ^ from[i]) * 0x100000001b3u;  // FNV-1a
}

void TraceHash::add(const Tensor& t) {
  add(t.defined());
  if (!t.defined()) return;
  const TensorImpl& impl = Access::impl(t);
  const Storage& storage = *impl.storage;
  recorder_.uses(impl.storage);
  const int64_t input = recorder_.input_of(storage);
  add(impl.shape), add(impl.strides), add(impl.dtype), add(storage.layout);
  add(impl.offset - (input < 0 ? 0 : recorder_.input_offset(input)));
  add(input);
  add(input < 0 && recorder_.is_from_before(storage) ? storage.serial : 0);
}

// ---- the recorder --------------------------------------------------------------------------------------------------

Recorder::Recorder(const std::vector<Tensor>& inputs, Device device, bool recording, bool required)
    : outer_(current_recorder),
      device_(device),
      recording_(recording),
      required_(required),
      first_serial_(next_serial()),
      seed_(default_generator().seed()),
      offset_(default_generator().offset()),
      waits_(runtime(device).host_waits(device.index())) {
  for (const Tensor& t : inputs)
    inputs_.push_back(t.defined() ? Input{Access::impl(t).storage.get(), Access::impl(t).offset} : Input{});
  current_recorder = this;
  ++observers;
}

Recorder::~Recorder() {
  --observers;
  current_recorder = outer_;
  undo();
}

int64_t Recorder::input_of(const Storage& storage) const {
  const auto found =
      std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& input) { return input.storage == &storage; });
  return found == inputs_.end() ? -1 : found - inputs_.begin();
}

void Recorder::operation(const char* name, Device device, uint64_t hash) {
  if (device.is_cpu()) interrupt("an operation on the CPU");
  trace_.push_back({name, hash});
}

void Recorder::uses(const std::shared_ptr<Storage>& storage) {
  if (!recording_ || !is_from_before(*storage) || input_of(*storage) >= 0) return;
  const auto known = [&](const External& e) { return e.storage == storage.get(); };
  if (std::any_of(externals_.begin(), externals_.end(), known)) return;
  externals_.push_back({storage, storage.get(), storage->data, storage->departures});
  kept_.push_back(storage);
}

void Recorder::writes(const Storage& storage) {
  if (input_of(storage) >= 0) return interrupt("a change of an input in place");
  if (recording_ && is_from_before(storage)) effects_.push_back({.written = const_cast<Storage*>(&storage)});
}

void Recorder::moves(const Storage& storage) {
  if (recording_ && is_from_before(storage)) interrupt("a change of the layout of a tensor from before the step");
}

void Recorder::reads_gradient(const std::shared_ptr<TensorImpl>& leaf) {
  if (!recording_ || !is_from_before(*leaf->storage)) return;
  const auto known = [&](const Leaf& l) { return l.leaf == leaf.get(); };
  if (std::any_of(leaves_.begin(), leaves_.end(), known)) return;
  const GradState* const state = leaf->grad.get();
  leaves_.push_back({leaf, leaf.get(), state != nullptr && state->grad.defined(), state != nullptr && state->zeroed});
}

void Recorder::interrupt(const char* what) {
  if (obstacle_.empty()) obstacle_ = fmt::format("the step has {}", what);
  if (!recording_) return;
  if (required_) {
    undo();
    throw CaptureError(
        fmt::format("capture: the step that is recorded on {} has {}, expected one that a graph can "
                    "repeat (see CaptureOptions::required)",
                    device_, what));
  }
  const DeviceRuntime& table = runtime(device_);
  const auto release = table.release_graph;
  const std::unique_ptr<void, decltype(release)> graph(table.end_capture(device_.index()), release);
  recording_ = false;
  table.launch_graph(graph.get());
}

std::string Recorder::obstacle() {
  const Generator& generator = default_generator();
  if (obstacle_.empty() && (generator.seed() != seed_ || generator.offset() - offset_ != draws_))
    obstacle_ = "the step has random numbers drawn on the host";
  if (obstacle_.empty() && runtime(device_).host_waits(device_.index()) != waits_)
    obstacle_ = fmt::format("the step waits for {}", device_);
  return obstacle_;
}

bool Recorder::undo() {
  if (!std::exchange(recording_, false)) return false;
  runtime_table(device_.type()).abandon_capture(device_.index());
  bool had_effects = false;
  for (auto effect = effects_.rbegin(); effect != effects_.rend(); ++effect)
    if (effect->undo) effect->undo(), had_effects = true;
  default_generator().set_state(seed_, offset_);
  for (const Leaf& leaf : leaves_) {
    if (leaf.owner.expired() || !leaf.leaf->grad) continue;
    if (!leaf.had_grad) leaf.leaf->grad->grad = {};  // nothing has been written there
    leaf.leaf->grad->zeroed = leaf.was_zeroed;
  }
  return !had_effects;
}

std::unique_ptr<Recorder::Requirements> Recorder::take_requirements() {
  recording_ = false;
  auto result = std::make_unique<Requirements>();
  for (Leaf& leaf : leaves_) {
    const GradState* const state = leaf.owner.expired() ? nullptr : leaf.leaf->grad.get();
    leaf.has_grad = state != nullptr && state->grad.defined();
    leaf.is_zeroed = state != nullptr && state->zeroed;
  }
  // A version that grows is of a tensor which the graph must find where it was.
  std::erase_if(effects_, [&](const Effect& effect) {
    const auto is_it = [&](const External& e) { return e.storage == effect.written; };
    return effect.written != nullptr && std::none_of(externals_.begin(), externals_.end(), is_it);
  });
  result->externals = std::move(externals_);
  result->leaves = std::move(leaves_);
  result->conditions = std::move(conditions_);
  for (Effect& effect : effects_) effect.undo = {};
  result->effects = std::move(effects_);
  return result;
}

// ---- what a graph requires -----------------------------------------------------------------------------------------

std::string Recorder::Requirements::what_changed() const {
  for (const External& e : externals) {
    if (e.owner.expired()) return "a tensor that the step uses is gone";
    if (e.storage->data != e.data || e.storage->departures != e.departures)
      return "a tensor that the step uses has moved";
  }
  for (const Leaf& l : leaves) {
    if (l.owner.expired()) return "a parameter of the step is gone";
    const GradState* const state = l.leaf->grad.get();
    if ((state != nullptr && state->grad.defined()) != l.had_grad ||
        (state != nullptr && state->zeroed) != l.was_zeroed)
      return "the gradients are not in the state in which they were when the step was recorded";
  }
  for (const Condition& c : conditions)
    if (!c.holds()) return fmt::format("{} has changed", c.what);
  return "";
}

void Recorder::Requirements::repeat_effects() {
  for (const Effect& effect : effects) {
    if (effect.written != nullptr)
      ++effect.written->version;
    else
      effect.run();
  }
  for (const Leaf& l : leaves)
    if (l.leaf->grad) l.leaf->grad->zeroed = l.is_zeroed;
}

// ---- doors ---------------------------------------------------------------------------------------------------------

bool is_recording() noexcept {
  const Recorder* const r = recorder();
  return r != nullptr && r->is_recording();
}

void repeat_later(std::function<void()> effect) {
  if (is_recording()) current_recorder->repeat_later(std::move(effect));
}

void repeat(std::function<void()> effect, std::function<void()> undo) {
  effect();
  if (is_recording()) current_recorder->repeat_later(std::move(effect), std::move(undo));
}

void repeat_while(const char* what, std::function<bool()> holds) {
  if (is_recording()) current_recorder->repeat_while(what, std::move(holds));
}

void interrupt_capture(const char* what) {
  if (Recorder* const r = recorder()) r->interrupt(what);
}

Draw next_draw() {
  if (Recorder* const r = recorder()) r->draws();
  return repeated_draw([] {
    Generator& generator = default_generator();
    return Draw{generator.seed(), generator.next_stream()};
  });
}

Draw draw_at(const std::shared_ptr<const Generator>& generator) {
  return repeated_draw([generator] { return Draw{generator->seed(), generator->offset()}; });
}

}  // namespace dnn::detail
