// The inside of autograd: how an operation records itself and how its closure hands gradients on.
//
//   Tensor relu(const Tensor& x) {
//     Tensor y = ...;
//     record("relu", y, {x}, [y = Saved(y)](Backward& b) {
//       auto [out, accumulate] = b.into(0);             // where the gradient of input 0 belongs
//       kernel(b.grad(), b.get(y), out, accumulate);
//     });
//     return y;
//   }
//
// `into` gives the kernel its destination (a fresh tensor, the sum so far, or the leaf's own .grad), so most gradients
// are written once and added never; `set` hands over a tensor that exists already. The engine stands in autograd.cpp.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/storage.h"
#include "dnn/autograd.h"
#include "dnn/tensor.h"

namespace dnn::detail {

class Backward;
class Engine;

// A tensor kept for the backward pass: outside the graph, and protected against in-place changes.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& t);

 private:
  friend class Backward;
  Tensor tensor_;
  uint64_t version_ = 0;
};

// One input of a recorded operation.
struct Edge {
  std::shared_ptr<Node> node;        // the operation that computed the input, or
  std::shared_ptr<TensorImpl> leaf;  // the leaf itself; neither when the input needs no gradient
  Shape shape;
  DType dtype = DType::float32;
  Device device;
  bool wanted() const { return node || leaf; }
};

struct Hook {
  int id;
  std::function<void(const Tensor&)> call;
};

// What an operation that ends in ReLU offers to the one that reads its result: to do, in its own kernel, what comes
// first on the way back, ReLU's derivative and the sum for the bias. A pass in which nobody takes the offer does as
// always.
struct ReluOffer {
  Tensor mask;         // what the kernel needs to know of the result
  int bias = 0;        // the input that is the bias
  bool taken = false;  // in the running pass
};

// One recorded operation, alive as long as its output or an operation that used the output.
struct Node {
  const char* name = "";
  uint64_t sequence = 0;  // later operations have higher numbers
  uint64_t profiled = 0;  // the place that a profiler gave it
  std::vector<Edge> inputs;
  std::function<void(Backward&)> closure;
  std::vector<Hook> hooks;
  bool freed = false;
  bool asks_for_one = false;         // the closure asks `is_one`
  std::shared_ptr<ReluOffer> offer;  // null for most
  int readers = 0;                   // operations that hand a gradient to this one in the running pass
  Tensor pending;                    // the gradient of the output, while a backward pass runs
  ~Node();
};

// A leaf's copy of 16 bits (core/autocast.h). It keeps its address while the leaf keeps its elements.
struct Shadow {
  std::shared_ptr<Storage> storage;
  DType dtype = DType::bfloat16;
  // The leaf's storage when it was written.
  uint64_t version = ~uint64_t{0};
  uint64_t exposures = 0;
  uint64_t serial = 0;  // of that time, among those of storages
};

// The gradient of a leaf, hooks on it, and its shadow.
struct GradState {
  Tensor grad;
  bool zeroed = false;  // stands for zeros, the next write overwrites
  std::vector<Hook> hooks;
  int64_t awaited = 0;                 // contributions still to come in the running backward pass
  std::unique_ptr<Shadow> shadow;      // of a leaf that an operation of 16 bits has used
  std::shared_ptr<TensorImpl> master;  // of a tensor over a shadow: the leaf, to which gradients go
};

// Where a gradient belongs, and whether it is added to what is there.
struct Destination {
  Tensor tensor;
  bool accumulate;
};

// What a closure sees.
class Backward {
 public:
  Backward(Node& node, Tensor grad) : node_(node), grad_(std::move(grad)) {}
  // Whether the gradient of the output is a one that nobody has written down: the pass begins here. Then there is no
  // `grad`. Only for closures of outputs given to `ask_for_one`.
  bool is_one() const { return !grad_.defined(); }
  // The gradient of the output, contiguous.
  const Tensor& grad() const { return grad_; }
  // Whether input i needs a gradient.
  bool wants(int i) const { return node_.inputs[static_cast<size_t>(i)].wanted(); }
  // The shape of input i.
  const Shape& shape(int i) const { return node_.inputs[static_cast<size_t>(i)].shape; }
  // A saved tensor; throws AutogradError when it was modified since.
  Tensor get(const Saved& saved) const;
  // Where a kernel shall write the gradient of input i, of the input's shape, in the layout asked for.
  Destination into(int i, Layout layout = Layout::plain);
  // The offer of the operation that computed input i, null when it has none, somebody else reads its result too, or its
  // bias has a gradient already. Who can do it writes `into(i)` and `offered_bias(i)`, and then takes the offer.
  const ReluOffer* offer(int i) const;
  Tensor offered_bias(int i) const;
  void take_offer(int i, const Tensor& bias);
  // Hands over the gradient of input i, in any shape that the input broadcasts to; may share memory.
  void set(int i, const Tensor& gradient);

 private:
  friend class Engine;
  struct Late {
    int input;
    Tensor tensor;
  };
  Node& node_;
  Tensor grad_;
  std::vector<Late> late_;  // written by the kernel into memory of their own, to be added after it
};

// Whether an operation on these inputs is recorded.
bool needs_grad(std::span<const Tensor> inputs);

// Makes `output` the result of a recorded operation when an input needs a gradient.
void record(const char* name, const Tensor& output, std::span<const Tensor> inputs,
            std::function<void(Backward&)> closure);
inline void record(const char* name, const Tensor& output, std::initializer_list<Tensor> inputs,
                   std::function<void(Backward&)> closure) {
  record(name, output, std::span<const Tensor>(inputs.begin(), inputs.size()), std::move(closure));
}

// Makes an offer of the operation that computed `output`, if it was recorded; its closure looks whether it was taken.
void make_offer(const Tensor& output, std::shared_ptr<ReluOffer> offer);

// Says that the closure of a recorded one-element output asks `is_one`, and needs no tensor of ones when it is.
void ask_for_one(const Tensor& output);

// Throws AutogradError when autograd records `t`, which an in-place operation is about to change.
void check_in_place(const char* name, const Tensor& t);

// The gradient summed over the dimensions along which `shape` was broadcast.
Tensor sum_to(const Tensor& gradient, const Shape& shape);

// The same values in another layout: `t` itself when it has it, else a copy.
Tensor in_layout(const Tensor& t, Layout layout);

}  // namespace dnn::detail
