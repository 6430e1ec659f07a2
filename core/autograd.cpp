// The autograd engine.
//
// Every recorded operation is a Node; a later operation has a higher sequence number. A backward pass keeps the nodes
// that have a gradient in a heap by that number: when a node comes out, all its users have been there, so its gradient
// is complete. Its closure runs, hands gradients to the inputs, and the node is dropped at once, which also dismantles
// long chains without recursion.
#include "dnn/autograd.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "core/autocast.h"
#include "core/capture.h"
#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise.h"
#include "core/node.h"
#include "core/profile.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/reduce.h"

namespace dnn {

namespace {
thread_local bool recording = true;
thread_local bool running = false;
}  // namespace

bool grad_enabled() { return recording; }
NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }
EnableGrad::EnableGrad() : before_(recording) { recording = true; }
EnableGrad::~EnableGrad() { recording = before_; }

namespace detail {

// ---- gradients on their way ----------------------------------------------------------------------------------------

Tensor sum_to(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  const int64_t extra = gradient.rank() - shape.rank();
  ReduceOptions options{.dims = {}, .keepdim = true};
  for (int64_t d = 0; d < gradient.rank(); ++d)
    if (d < extra || (shape[d - extra] == 1 && gradient.shape()[d] != 1)) options.dims.push_back(d);
  const Tensor summed = options.dims.empty() ? gradient : sum(gradient, options);
  return summed.reshape(shape);
}

namespace {

// Whether nobody else can see the memory of `t`, so that it may be added to in place.
bool is_exclusive(const Tensor& t) {
  return Access::pointer(t).use_count() == 1 && Access::impl(t).storage.use_count() == 1 && t.is_contiguous();
}

void add_into(const Tensor& target, const Tensor& value) {
  const Tensor source = in_layout(value.contiguous(), layout_of(target));
  kernel::binary_forward<functor::Add>[target.device()](functor::Add{}, target, source, target);
}

GradState& grad_state(TensorImpl& impl) {
  if (!impl.grad) impl.grad = std::make_unique<GradState>();
  return *impl.grad;
}

// For a captured step: the state of this leaf's gradient is about to be read or changed.
void note_gradient(const std::shared_ptr<TensorImpl>& leaf) {
  if (Recorder* const r = recorder()) r->reads_gradient(leaf);
}

void call_hooks(const std::vector<Hook>& hooks, const Tensor& gradient) {
  if (hooks.empty()) return;
  interrupt_capture("a hook on a gradient");
  for (const Hook& hook : std::vector<Hook>(hooks)) hook.call(gradient);  // a hook may remove itself
}

// A leaf's gradient keeps its address from the first one on and must be its own. Where autocast has made it narrower
// than the leaf it stays so while each backward pass brings one contribution of that type; else it becomes as wide as
// the leaf, once and for all.
void deliver_to_leaf(TensorImpl& leaf, const Tensor& gradient) {
  GradState& state = grad_state(leaf);
  Tensor& sum = state.grad;
  const bool overwrites = std::exchange(state.zeroed, false) || !sum.defined();
  const bool fits = sum.defined() && (sum.dtype() == leaf.dtype || (overwrites && sum.dtype() == gradient.dtype()));
  if (!sum.defined()) {
    sum = gradient.contiguous().clone();
    make_plain(sum);
  } else if (overwrites) {
    if (!fits) sum = allocate(gradient.shape(), leaf.dtype, sum.device());
    sum.copy_(gradient);
  } else {
    if (!fits) sum = sum.to(leaf.dtype);
    bump_version(sum);
    add_into(sum, gradient.to(leaf.dtype));
  }
}

// Adds `gradient`, of the right shape, to the gradient of an input.
void deliver(const Edge& edge, const Tensor& gradient) {
  if (edge.leaf) {
    note_gradient(edge.leaf);
    return deliver_to_leaf(*edge.leaf, gradient);
  }
  Tensor& sum = edge.node->pending;
  if (!sum.defined()) {
    sum = gradient.detach();
  } else if (is_exclusive(sum)) {
    add_into(sum, gradient);
  } else {
    Tensor fresh = sum.contiguous().clone();
    add_into(fresh, gradient);
    sum = fresh;
  }
}

}  // namespace

Tensor Backward::get(const Saved& saved) const {
  if (!saved.tensor_.defined()) return {};
  if (saved.tensor_.version() != saved.version_)
    throw AutogradError(
        fmt::format("{}: a tensor that the backward pass needs was modified in place (shape {}, version "
                    "{}, expected {})",
                    node_.name, saved.tensor_.shape(), saved.tensor_.version(), saved.version_));
  return saved.tensor_;
}

Destination Backward::into(int i, Layout layout) {
  const Edge& edge = node_.inputs[static_cast<size_t>(i)];
  if (edge.leaf && layout == Layout::plain) {
    note_gradient(edge.leaf);
    GradState& state = grad_state(*edge.leaf);
    if (!state.grad.defined()) {
      state.grad = allocate(edge.shape, edge.dtype, edge.device);
      return {state.grad, false};
    }
    // Else `deliver` converts: sums are as wide as the leaf.
    const bool narrow = edge.dtype != edge.leaf->dtype;
    if (state.grad.dtype() == edge.dtype && (state.zeroed || !narrow)) {
      bump_version(state.grad);
      make_plain(state.grad);
      return {state.grad, !std::exchange(state.zeroed, false)};
    }
  }
  if (edge.node) {
    Tensor& pending = edge.node->pending;
    if (pending.defined() && is_exclusive(pending) && layout_of(pending) == layout) return {pending, true};
    if (!pending.defined()) {
      pending = allocate(edge.shape, edge.dtype, edge.device);
      set_layout(pending, layout);
      return {pending, false};
    }
  }
  Tensor fresh = allocate(edge.shape, edge.dtype, edge.device);
  set_layout(fresh, layout);
  late_.push_back({i, fresh});
  return {fresh, false};
}

const ReluOffer* Backward::offer(int i) const {
  const Node* const before = node_.inputs[static_cast<size_t>(i)].node.get();
  if (before == nullptr || !before->offer || before->readers != 1 || !before->hooks.empty()) return nullptr;
  const Edge& bias = before->inputs[static_cast<size_t>(before->offer->bias)];
  if (!bias.leaf) return nullptr;
  note_gradient(bias.leaf);
  const GradState& state = grad_state(*bias.leaf);
  // A gradient that is wider than this pass needs a conversion.
  const bool fresh = !state.grad.defined() || (state.zeroed && state.grad.dtype() == bias.dtype);
  return fresh ? before->offer.get() : nullptr;
}

Tensor Backward::offered_bias(int i) const {
  const Node& before = *node_.inputs[static_cast<size_t>(i)].node;
  const Edge& bias = before.inputs[static_cast<size_t>(before.offer->bias)];
  const Tensor& grad = grad_state(*bias.leaf).grad;
  if (!grad.defined()) return allocate(bias.shape, bias.dtype, bias.device);
  make_plain(grad);
  return grad;
}

void Backward::take_offer(int i, const Tensor& bias) {
  const Node& before = *node_.inputs[static_cast<size_t>(i)].node;
  GradState& state = grad_state(*before.inputs[static_cast<size_t>(before.offer->bias)].leaf);
  if (!state.grad.defined()) state.grad = bias;
  state.zeroed = false;
  bump_version(state.grad);
  before.offer->taken = true;
}

void Backward::set(int i, const Tensor& gradient) {
  const Edge& edge = node_.inputs[static_cast<size_t>(i)];
  if (edge.wanted()) deliver(edge, sum_to(gradient, edge.shape));
}

// ---- the pass ------------------------------------------------------------------------------------------------------

class Engine {
 public:
  explicit Engine(bool retain) : retain_(retain) { running = true; }
  ~Engine() {
    running = false;
    for (const auto& node : visited_) node->pending = {};
    for (const auto& leaf : leaves_) leaf->grad->awaited = 0;
    if (finished_ || !started_) return;
    // Some leaves have all of their gradient now, some half, some none. Nobody could tell which, so none counts.
    for (const auto& leaf : leaves_) leaf->grad->zeroed = leaf->grad->grad.defined();
  }

  // Without a gradient it is one, which the root does not need written down.
  void run(const std::shared_ptr<Node>& root, const Tensor& gradient) {
    explore(root);
    started_ = true;
    if (gradient.defined()) root->pending = gradient.detach();
    push(root);
    NoGrad no_grad;
    while (!ready_.empty()) {
      const std::shared_ptr<Node> node = ready_.top();
      ready_.pop();
      visit(*node);
    }
    // Branches that handed on no gradient leave leaves waiting; what arrived is complete all the same.
    for (const auto& leaf : leaves_)
      if (leaf->grad->awaited > 0) leaf->grad->awaited = 1, settle(*leaf);
    finished_ = true;
  }

 private:
  struct Later {
    bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
      return a->sequence < b->sequence;
    }
  };

  // Finds all nodes of the graph, refuses freed ones, and counts what every leaf has to wait for.
  void explore(const std::shared_ptr<Node>& root) {
    std::unordered_set<const Node*> seen{root.get()};
    visited_.push_back(root);
    for (size_t next = 0; next < visited_.size(); ++next) {
      const std::shared_ptr<Node> node = visited_[next];
      if (node->freed)
        throw AutogradError(
            fmt::format("backward: the graph was freed by an earlier backward pass at {}, expected "
                        "{{.retain_graph = true}} in that pass",
                        node->name));
      if (node->offer) node->offer->taken = false;
      for (const Edge& edge : node->inputs) {
        if (edge.node) {
          if (seen.insert(edge.node.get()).second) visited_.push_back(edge.node), edge.node->readers = 0;
          ++edge.node->readers;
        }
        if (!edge.leaf || grad_state(*edge.leaf).awaited++ > 0) continue;
        note_gradient(edge.leaf);
        leaves_.push_back(edge.leaf);
      }
    }
  }

  void push(const std::shared_ptr<Node>& node) {
    if (queued_.insert(node.get()).second) ready_.push(node);
  }

  void visit(Node& node) {
    const ProfiledBackward profiled(node.name, node.profiled);
    Tensor gradient = std::exchange(node.pending, {});
    if (gradient.defined()) gradient = gradient.contiguous();
    call_hooks(node.hooks, gradient);
    Backward backward(node, std::move(gradient));
    node.closure(backward);
    for (const auto& late : backward.late_) deliver(node.inputs[static_cast<size_t>(late.input)], late.tensor);
    backward.late_.clear();
    for (const Edge& edge : node.inputs) {
      if (edge.node && edge.node->pending.defined()) push(edge.node);
      if (edge.leaf) settle(*edge.leaf);
    }
    if (retain_) return;
    node.freed = true;
    node.closure = nullptr;
    node.inputs.clear();
    node.offer = nullptr;
  }

  // One contribution to a leaf has arrived; after the last one its gradient is complete.
  void settle(TensorImpl& leaf) {
    GradState& state = *leaf.grad;
    if (--state.awaited > 0 || !state.grad.defined() || state.zeroed) return;
    call_hooks(state.hooks, state.grad);
  }

  const AutocastOff no_autocast_;  // gradients have the types of what they belong to
  bool retain_;
  std::vector<std::shared_ptr<Node>> visited_;
  std::vector<std::shared_ptr<TensorImpl>> leaves_;
  bool started_ = false, finished_ = false;
  std::unordered_set<const Node*> queued_;
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, Later> ready_;
};

}  // namespace detail

// ---- Tensor's side -------------------------------------------------------------------------------------------------

using detail::Access;
using detail::GradState;
using detail::TensorImpl;

namespace {

void check_backward(const Tensor& t, const BackwardOptions& options) {
  if (options.create_graph)
    throw AutogradError("backward: create_graph is not supported, gradients of gradients do not exist here");
  if (!t.requires_grad())
    throw AutogradError(
        fmt::format("backward: the tensor does not require a gradient, expected one computed from a "
                    "tensor that does (shape {})",
                    t.shape()));
  if (running) throw AutogradError("backward: called inside a backward pass, expected one pass at a time");
}

}  // namespace

void Tensor::backward(const BackwardOptions& options) const {
  if (numel() != 1)
    throw AutogradError(fmt::format(
        "backward: the tensor has {} elements, expected 1 or an upstream gradient (shape {})", numel(), shape()));
  const auto& node = Access::impl(*this).node;
  if (node && node->asks_for_one && node->hooks.empty()) {
    check_backward(*this, options);
    return detail::Engine(options.retain_graph).run(node, {});
  }
  Tensor gradient;
  {
    const detail::ProfiledBackward profiled("backward", 0);
    gradient = ones_like(*this);
  }
  backward(gradient, options);
}

void Tensor::backward(const Tensor& gradient, const BackwardOptions& options) const {
  check_backward(*this, options);
  if (gradient.shape() != shape() || gradient.dtype() != dtype() || gradient.device() != device())
    throw ShapeError(fmt::format("backward: the upstream gradient is {} {} on {}, expected {} {} on {}",
                                 gradient.dtype(), gradient.shape(), gradient.device(), dtype(), shape(), device()));
  const TensorImpl& impl = Access::impl(*this);
  if (impl.node) {
    detail::Engine(options.retain_graph).run(impl.node, gradient);
  } else {
    NoGrad no_grad;
    detail::Edge edge{.node = nullptr, .leaf = impl_, .shape = shape(), .dtype = dtype(), .device = device()};
    detail::deliver(edge, gradient);
    detail::call_hooks(impl.grad->hooks, impl.grad->grad);
  }
}

bool Tensor::requires_grad() const { return Access::impl(*this).requires_grad; }
bool Tensor::is_leaf() const { return Access::impl(*this).node == nullptr; }

Tensor& Tensor::set_requires_grad(bool value) {
  TensorImpl& impl = Access::impl(*this);
  if (impl.node)
    throw AutogradError(fmt::format("set_requires_grad: the tensor is the result of {}, expected a leaf (shape {})",
                                    impl.node->name, shape()));
  if (value) detail::check_floating("set_requires_grad", "tensor", *this);
  impl.requires_grad = value;
  return *this;
}

Tensor Tensor::grad() const { return has_grad() ? Access::impl(*this).grad->grad : Tensor(); }

void Tensor::set_grad(const Tensor& grad) {
  TensorImpl& impl = Access::impl(*this);
  detail::note_gradient(impl_);
  if (!grad.defined()) {
    if (impl.grad) impl.grad->grad = {}, impl.grad->zeroed = false;
    return;
  }
  if (grad.shape() != shape())
    throw ShapeError(fmt::format("set_grad: the gradient has shape {}, expected {}", grad.shape(), shape()));
  const bool narrow = dtype() == DType::float32 && is_floating(grad.dtype()) && size_of(grad.dtype()) == 2;
  if (grad.dtype() != dtype() && !narrow)
    throw DTypeError(
        fmt::format("set_grad: the gradient is {}, expected {} (shape {})", grad.dtype(), dtype(), shape()));
  detail::check_same_device("set_grad", {{"tensor", this}, {"gradient", &grad}});
  NoGrad no_grad;
  GradState& state = detail::grad_state(impl);
  state.zeroed = false;
  if (state.grad.defined() && (state.grad.dtype() == dtype() || state.grad.dtype() == grad.dtype()))
    state.grad.copy_(grad);
  else
    state.grad = grad.detach().contiguous().clone();
}

void Tensor::zero_grad() {
  GradState* state = Access::impl(*this).grad.get();
  detail::note_gradient(impl_);
  if (state != nullptr && state->grad.defined()) state->zeroed = true;
}

bool Tensor::has_grad() const {
  const GradState* state = Access::impl(*this).grad.get();
  detail::note_gradient(impl_);
  return state != nullptr && state->grad.defined() && !state->zeroed;
}

namespace {

std::vector<detail::Hook>& hooks_of(TensorImpl& impl) {
  return impl.node ? impl.node->hooks : detail::grad_state(impl).hooks;
}

}  // namespace

int Tensor::register_hook(std::function<void(const Tensor&)> hook) const {
  if (!requires_grad())
    throw AutogradError(fmt::format(
        "register_hook: the tensor does not require a gradient, expected one that does (shape {})", shape()));
  static std::atomic<int> next{0};
  const int id = ++next;
  hooks_of(Access::impl(*this)).push_back({id, std::move(hook)});
  return id;
}

void Tensor::remove_hook(int id) const {
  std::erase_if(hooks_of(Access::impl(*this)), [id](const detail::Hook& hook) { return hook.id == id; });
}

}  // namespace dnn
