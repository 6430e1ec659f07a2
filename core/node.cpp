// Nodes: an operation that is recorded keeps what its backward pass needs and where its inputs came from.
#include <algorithm>
#include <atomic>

#include "core/node.h"
#include "core/profile.h"
#include "core/text.h"
#include "dnn/autograd.h"
#include "dnn/error.h"

namespace dnn::detail {

// A graph that was never run backward would destroy itself recursively, one stack frame per operation.
Node::~Node() {
  thread_local std::vector<std::shared_ptr<Node>>* waiting = nullptr;
  if (waiting != nullptr) {
    for (Edge& edge : inputs)
      if (edge.node) waiting->push_back(std::move(edge.node));
    return;
  }
  std::vector<std::shared_ptr<Node>> list;
  waiting = &list;
  for (Edge& edge : inputs)
    if (edge.node) list.push_back(std::move(edge.node));
  while (!list.empty()) {
    const std::shared_ptr<Node> next = std::move(list.back());
    list.pop_back();
  }
  waiting = nullptr;
}

Saved::Saved(const Tensor& t) {
  if (!t.defined()) return;
  tensor_ = t.detach();
  version_ = t.version();
}

bool needs_grad(std::span<const Tensor> inputs) {
  if (!grad_enabled()) return false;
  return std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.defined() && t.requires_grad(); });
}

void record(const char* name, const Tensor& output, std::span<const Tensor> inputs,
            std::function<void(Backward&)> closure) {
  if (!needs_grad(inputs)) return;
  static std::atomic<uint64_t> sequence{0};
  auto node = std::make_shared<Node>();
  node->name = name;
  node->sequence = ++sequence;
  if (may_observe()) node->profiled = profiled_place();
  node->closure = std::move(closure);
  node->inputs.reserve(inputs.size());
  for (const Tensor& input : inputs) {
    Edge& edge = node->inputs.emplace_back();
    if (!input.defined()) continue;
    const TensorImpl& impl = Access::impl(input);
    edge.shape = impl.shape;
    edge.dtype = impl.dtype;
    edge.device = impl.storage->device;
    if (impl.node)
      edge.node = impl.node;
    else if (impl.requires_grad)
      edge.leaf = impl.grad && impl.grad->master ? impl.grad->master : Access::pointer(input);
  }
  TensorImpl& impl = Access::impl(output);
  impl.node = std::move(node);
  impl.requires_grad = true;
}

void make_offer(const Tensor& output, std::shared_ptr<ReluOffer> offer) {
  if (const auto& node = Access::impl(output).node) node->offer = std::move(offer);
}

void ask_for_one(const Tensor& output) {
  if (const auto& node = Access::impl(output).node) node->asks_for_one = true;
}

void check_in_place(const char* name, const Tensor& t) {
  if (grad_enabled() && t.requires_grad())
    throw AutogradError(
        fmt::format("{}: the tensor requires a gradient, expected one that autograd does not record, "
                    "or NoGrad (shape {}, {})",
                    name, t.shape(), t.is_leaf() ? "a leaf" : "a result"));
}

}  // namespace dnn::detail
