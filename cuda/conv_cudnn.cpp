// Plans of cuDNN's graph API for convolutions.
#include <fmt/format.h>

#include "cuda/conv_plan.h"
#include "cuda/cudnn_graph.h"
#include "cuda/trial.h"

namespace cudnn_frontend {
[[gnu::visibility("hidden")]] void* cudnn_dlhandle = nullptr;
}

namespace dnn::cuda {

namespace {

// What names the operands to a plan.
enum Uid : int64_t { uid_x = 1, uid_weight, uid_y, uid_add, uid_bias };

fe::DataType_t type_of(DType type) {
  switch (type) {
    case DType::float64: return fe::DataType_t::DOUBLE;
    case DType::float32: return fe::DataType_t::FLOAT;
    case DType::float16: return fe::DataType_t::HALF;
    case DType::bfloat16: return fe::DataType_t::BFLOAT16;
    default: throw DTypeError(fmt::format("conv2d: no kernel for elements of type {}", dnn::name_of(type)));
  }
}

std::vector<int64_t> pair_of(Size2 size) { return {size.h, size.w}; }

using Operand = CudnnOperand;

// The graph in the frontend's terms.
class Description {
 public:
  Description(const ConvGraph& graph, fe::graph::Graph& to) : graph_(graph), to_(to) {
    to_.set_io_data_type(type_of(graph.dtype));
    to_.set_compute_data_type(type_of(graph.compute_type()));
    to_.set_intermediate_data_type(type_of(graph.compute_type()));
    switch (graph.pass) {
      case ConvPass::forward: forward(); break;
      case ConvPass::backward_data: {
        const Operand y = input(uid_y, graph.y), weight = input(uid_weight, graph.weight);
        Operand result = to_.conv_dgrad(y, weight, options<fe::graph::Conv_dgrad_attributes>());
        if (graph.add)
          result = to_.pointwise(between(result, graph.x), input(uid_add, graph.add), mode(fe::PointwiseMode_t::ADD));
        output(result, uid_x, graph.x);
        break;
      }
      case ConvPass::backward_weight: {
        const Operand y = input(uid_y, graph.y), x = input(uid_x, graph.x);
        output(to_.conv_wgrad(y, x, options<fe::graph::Conv_wgrad_attributes>()), uid_weight, graph.weight);
        break;
      }
    }
  }

 private:
  // cuDNN knows the pattern in this order only: what is added first, then the bias, then the activation.
  void forward() {
    const Operand x = input(uid_x, graph_.x), weight = input(uid_weight, graph_.weight);
    Operand result = to_.conv_fprop(x, weight, options<fe::graph::Conv_fprop_attributes>());
    using fe::PointwiseMode_t;
    if (graph_.add)
      result = to_.pointwise(between(result, graph_.y), input(uid_add, graph_.add), mode(PointwiseMode_t::ADD));
    if (graph_.bias)
      result = to_.pointwise(between(result, graph_.y), input(uid_bias, graph_.bias), mode(PointwiseMode_t::ADD));
    // The frontend asks for NaN to stay NaN; infinity becomes the largest float, which 16-bit types round to infinity.
    if (graph_.activation == Activation::relu)
      result = to_.pointwise(between(result, graph_.y), mode(PointwiseMode_t::RELU_FWD));
    output(result, uid_y, graph_.y);
  }

  template <class Attributes>
  Attributes options() const {
    Attributes attributes;
    attributes.set_padding(pair_of(graph_.padding));
    attributes.set_stride(pair_of(graph_.stride)).set_dilation(pair_of(graph_.dilation));
    return attributes;
  }
  static fe::graph::Pointwise_attributes mode(fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode);
  }
  Operand input(Uid uid, const ConvOperand& operand) {
    return to_.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim(vector_of(operand.dims))
                          .set_stride(vector_of(operand.strides))
                          .set_alignment(operand.alignment));
  }
  // A result that goes on into the next operation.
  static Operand between(const Operand& result, const ConvOperand& like) {
    result->set_dim(vector_of(like.dims)).set_stride(vector_of(like.strides));
    return result;
  }
  void output(const Operand& result, Uid uid, const ConvOperand& operand) {
    result->set_output(true).set_uid(uid).set_data_type(type_of(graph_.dtype));
    result->set_dim(vector_of(operand.dims)).set_stride(vector_of(operand.strides)).set_alignment(operand.alignment);
  }

  const ConvGraph& graph_;
  fe::graph::Graph& to_;
};

class CudnnPlans final : public ConvPlans {
 public:
  // `where`: a context, or the properties of a GPU.
  template <class Where>
  CudnnPlans(const ConvGraph& graph, Where& where) {
    const Description description(graph, graph_.description());
    graph_.offer(where);
    using Note = fe::NumericalNote_t;
    // Rounded to half precision on the way, and sums of 16 bits.
    graph_.leave_out({Note::DOWN_CONVERT_INPUTS, Note::REDUCED_PRECISION_REDUCTION});
    if (graph.deterministic) graph_.leave_out({Note::NONDETERMINISTIC});
    if (!graph.tensor_cores) graph_.leave_out({Note::TENSOR_CORE});
  }

  int64_t count() const override { return graph_.count(); }
  std::string name(int64_t plan) const override { return graph_.name(plan); }
  bool build(int64_t plan) override { return graph_.build(plan); }
  const std::string& refusal() const override { return graph_.refusal(); }
  int64_t workspace(int64_t plan) const override { return graph_.workspace(plan); }
  void run(int64_t plan, Context& context, const ConvPointers& p, void* workspace) override {
    std::unordered_map<int64_t, void*> operands;
    const std::pair<Uid, void*> all[] = {
        {uid_x, p.x}, {uid_weight, p.weight}, {uid_y, p.y}, {uid_add, p.add}, {uid_bias, p.bias}};
    for (const auto& [uid, data] : all) {
      if (data != nullptr) operands.emplace(uid, data);
    }
    graph_.execute(plan, context, operands, workspace);
  }
  double time(int64_t plan, Context& context, const ConvPointers& pointers, void* workspace,
              TrialClock& clock) override {
    return clock.time([&] { run(plan, context, pointers, workspace); });
  }

 private:
  CudnnGraph graph_;
};

}  // namespace

std::unique_ptr<ConvPlans> conv_plans(const ConvGraph& graph, Context& context) {
  return std::make_unique<CudnnPlans>(graph, context);
}

std::string conv_library() {
  const size_t version = DNN_LIBRARY_FUNCTION(cudnn, cudnnGetVersion)();
  return fmt::format("cudnn {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

std::unique_ptr<ConvPlans> conv_plans(const ConvGraph& graph, std::string_view device_properties) {
  return std::make_unique<CudnnPlans>(graph, device_properties);
}

}  // namespace dnn::cuda
