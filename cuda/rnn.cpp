// Recurrent layers through the library behind rnn_library.h.
//
// The library wants all weights of a layer in one weight space; one launch copies them there before each forward pass,
// one copies their gradients out of another. The weight space of a pass in training lies at the head of the reserve,
// before what the library itself keeps there, so the backward pass finds it ready. A type that the library does not
// take is converted to float32 and back by the same launches.
#include "cuda/rnn.h"

#include <deque>

#include "core/storage.h"
#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/moves.h"
#include "cuda/plan_cache.h"
#include "cuda/rnn_library.h"
#include "dnn/precision.h"

namespace dnn::cuda {

using kernel::RecurrentGradient;
using kernel::RecurrentGradients;
using kernel::RecurrentProblem;
using kernel::RecurrentTensors;

namespace {

using Plan = std::shared_ptr<const RnnPlan>;

struct Key {
  const Context* context;
  RnnShape shape;
  friend bool operator==(const Key&, const Key&) = default;
};
struct KeyHash {
  size_t operator()(const Key& key) const {
    return RnnShapeHash{}(key.shape) + std::hash<const Context*>{}(key.context);
  }
};

// The plan of a problem, one of the last few: sequences of many lengths make many shapes.
Plan plan_of(Context& context, const RecurrentProblem& p) {
  static auto& plans = *new PlanCache<Key, Plan, KeyHash>(256);  // tensors may outlive every static object
  const RnnShape shape = shape_of(p, rnn_takes_bfloat16(), tf32_allowed().convolution);
  return plans.get({&context, shape}, [&]() -> Plan { return make_rnn_plan(context, shape); });
}

// The weight space's share of the reserve; what follows is aligned.
int64_t head_bytes(const RnnPlan& plan) { return (plan.layout().weight_bytes + 255) / 256 * 256; }

std::byte* bytes_of(const Tensor& t) { return static_cast<std::byte*>(detail::raw(t)); }

const Tensor& part(const RecurrentWeights& weights, RnnWeight which) {
  switch (which) {
    case RnnWeight::weight_ih: return weights.weight_ih;
    case RnnWeight::weight_hh: return weights.weight_hh;
    case RnnWeight::bias_ih: return weights.bias_ih;
    default: return weights.bias_hh;
  }
}

const RecurrentGradient& part(const RecurrentGradients::Weights& weights, RnnWeight which) {
  switch (which) {
    case RnnWeight::weight_ih: return weights.weight_ih;
    case RnnWeight::weight_hh: return weights.weight_hh;
    case RnnWeight::bias_ih: return weights.bias_ih;
    default: return weights.bias_hh;
  }
}

// One pass: what the library reads and writes, and the moves before and after it.
class Pass {
 public:
  Pass(const RecurrentProblem& problem, const RecurrentTensors& tensors)
      : context(Context::of(tensors.y)),
        plan(plan_of(context, problem)),
        type_(problem.dtype),
        library_type_(plan->shape().dtype) {
    buffers.x = read(tensors.x), buffers.h_0 = read(tensors.h_0), buffers.c_0 = read(tensors.c_0);
    buffers.workspace = scratch(plan->layout().workspace_bytes);
  }

  // The tensor in the library's type, when `move_in` is done; null when undefined.
  const void* read(const Tensor& t) {
    if (!t.defined() || type_ == library_type_) return t.defined() ? detail::raw(t) : nullptr;
    void* const copy = scratch_like(t);
    before_.push_back({detail::raw(t), copy, t.numel()});
    return copy;
  }

  // Where the library writes what `move_out` then brings to its destination; null when there is none.
  void* write(const RecurrentGradient& to) {
    if (!to.tensor.defined()) return nullptr;
    if (type_ == library_type_ && !to.accumulate) return detail::raw(to.tensor);
    void* const result = scratch_like(to.tensor);
    after_.push_back({result, detail::raw(to.tensor), to.tensor.numel(), to.accumulate});
    return result;
  }
  void* write(const Tensor& to) { return write(RecurrentGradient{to}); }

  // Weights that are not there are zeros.
  void pack(const RecurrentWeights* weights, std::byte* space) {
    for (const RnnPiece& piece : pieces_of(plan->shape(), plan->layout())) {
      const Tensor& tensor = part(weights[piece.direction], piece.weight);
      const std::byte* const from =
          tensor.defined() ? bytes_of(tensor) + piece.begin * static_cast<int64_t>(size_of(type_)) : nullptr;
      before_.push_back({from, space + piece.offset, piece.n});
    }
  }
  void unpack(const std::byte* space, const RecurrentGradients::Weights* weights) {
    for (const RnnPiece& piece : pieces_of(plan->shape(), plan->layout())) {
      const RecurrentGradient& to = part(weights[piece.direction], piece.weight);
      if (!to.tensor.defined()) continue;
      after_.push_back({space + piece.offset, bytes_of(to.tensor) + piece.begin * static_cast<int64_t>(size_of(type_)),
                        piece.n, to.accumulate});
    }
  }

  void move_in() { move(context, type_, library_type_, before_); }
  void move_out() { move(context, library_type_, type_, after_); }

  // Memory until the end of the pass.
  std::byte* scratch(int64_t bytes) { return scratches_.emplace_back(context, bytes).as<std::byte>(); }
  // The same, for the elements of a tensor in the library's type.
  std::byte* scratch_like(const Tensor& t) { return scratch(t.numel() * static_cast<int64_t>(size_of(library_type_))); }

  Context& context;
  const Plan plan;
  RnnBuffers buffers;

 private:
  const DType type_, library_type_;
  std::vector<Move> before_, after_;
  std::deque<Scratch> scratches_;
};

// No sequences, no gradient.
void clear_gradients(const RecurrentProblem& p, const Tensor& y, const RecurrentGradients& out) {
  std::vector<Move> moves;
  for (int64_t d = 0; d < p.directions; ++d) {
    const auto& of = out.weights[d];
    for (const RecurrentGradient* to : {&of.weight_ih, &of.weight_hh, &of.bias_ih, &of.bias_hh})
      if (to->tensor.defined() && !to->accumulate)
        moves.push_back({nullptr, detail::raw(to->tensor), to->tensor.numel()});
  }
  move(Context::of(y), p.dtype, p.dtype, moves);
}

}  // namespace

// The device is the one of the layer's output, which was allocated just before.
void recurrent_reserve(const RecurrentProblem& problem, int64_t* bytes) {
  *bytes = 0;
  if (problem.batch == 0 || !problem.training) return;
  const Plan plan = plan_of(Context::current(), problem);
  *bytes = head_bytes(*plan) + plan->layout().reserve_bytes;
}

void recurrent_forward(const RecurrentProblem& problem, const RecurrentTensors& tensors, const Tensor& c_n) {
  if (problem.batch == 0) return;
  Pass pass(problem, tensors);
  std::byte* space = nullptr;
  if (problem.training) {
    const int64_t head = head_bytes(*pass.plan);
    space = bytes_of(tensors.reserve);
    pass.buffers.reserve = space + head;
    pass.buffers.reserve_bytes = tensors.reserve.numel() - head;
  } else {
    space = pass.scratch(pass.plan->layout().weight_bytes);
  }
  pass.buffers.weights = space;
  pass.pack(tensors.weights, space);
  pass.move_in();
  pass.plan->forward(pass.context, pass.buffers, pass.write(tensors.y), pass.write(c_n));
  pass.context.called("cudnnRNNForward");
  pass.move_out();
}

void recurrent_backward(const RecurrentProblem& problem, const RecurrentTensors& tensors, const Tensor& grad_y,
                        const Tensor& grad_c_n, const RecurrentGradients& out) {
  if (problem.batch == 0) return clear_gradients(problem, tensors.y, out);
  Pass pass(problem, tensors);
  const void* const y = pass.read(tensors.y);
  const void* const of_y = pass.read(grad_y);
  const void* const of_c_n = pass.read(grad_c_n);
  pass.move_in();

  // The library changes the reserve, and another backward pass may follow.
  RnnBuffers& buffers = pass.buffers;
  const int64_t head = head_bytes(*pass.plan);
  buffers.weights = bytes_of(tensors.reserve);
  buffers.reserve_bytes = tensors.reserve.numel() - head;
  buffers.reserve = pass.scratch(buffers.reserve_bytes);
  pass.context.copy(buffers.reserve, bytes_of(tensors.reserve) + head, buffers.reserve_bytes);

  void* of_x = pass.write(out.x);
  if (of_x == nullptr) of_x = pass.scratch_like(tensors.x);
  void* const of_h_0 = pass.write(out.h_0);
  void* const of_c_0 = pass.write(out.c_0);
  pass.plan->backward_data(pass.context, buffers, y, of_y, of_c_n, of_x, of_h_0, of_c_0);
  pass.context.called("cudnnRNNBackwardData_v8");

  bool any = false;
  for (int64_t d = 0; d < problem.directions; ++d)
    for (const RnnWeight which : {RnnWeight::weight_ih, RnnWeight::weight_hh, RnnWeight::bias_ih, RnnWeight::bias_hh})
      any = any || part(out.weights[d], which).tensor.defined();
  if (any) {
    const int64_t bytes = pass.plan->layout().weight_bytes;
    std::byte* const of_weights = pass.scratch(bytes);
    DNN_CUDA_CHECK(cudaMemsetAsync(of_weights, 0, static_cast<size_t>(bytes), pass.context.stream()));
    pass.plan->backward_weights(pass.context, buffers, y, of_weights);
    pass.context.called("cudnnRNNBackwardWeights_v8");
    pass.unpack(of_weights, out.weights);
  }
  pass.move_out();
}

}  // namespace dnn::cuda
