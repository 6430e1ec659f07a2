// Plans of cuDNN's graph API for batch normalisation.
#include <fmt/format.h>

#include "cuda/cudnn_graph.h"
#include "cuda/norm_plan.h"
#include "cuda/trial.h"

namespace dnn::cuda {

namespace {

// What names the operands to a plan. The running statistics have a name before and one after.
enum Uid : int64_t {
  uid_x = 1,
  uid_weight,
  uid_bias,
  uid_mean,
  uid_inv_std,
  uid_y,
  uid_add,
  uid_running_mean,
  uid_running_var,
  uid_next_mean,
  uid_next_var,
  uid_grad,
  uid_grad_x,
  uid_grad_weight,
  uid_grad_bias,
  uid_grad_add
};

fe::DataType_t type_of(DType type) {
  switch (type) {
    case DType::float16: return fe::DataType_t::HALF;
    case DType::bfloat16: return fe::DataType_t::BFLOAT16;
    default: throw DTypeError(fmt::format("batch_norm: no plan for elements of type {}", dnn::name_of(type)));
  }
}

// The graph in the frontend's terms.
class Description {
 public:
  Description(const NormGraph& graph, fe::graph::Graph& to) : graph_(graph), to_(to) {
    to_.set_io_data_type(type_of(graph.dtype));
    to_.set_compute_data_type(fe::DataType_t::FLOAT);
    to_.set_intermediate_data_type(fe::DataType_t::FLOAT);
    if (graph.pass == NormPass::forward)
      forward();
    else
      backward();
  }

 private:
  using Mode = fe::PointwiseMode_t;

  void forward() {
    CudnnOperand x = image(uid_x), weight = channels(uid_weight), bias = channels(uid_bias);
    CudnnOperand eps = to_.tensor(static_cast<float>(graph_.eps));
    fe::graph::Batchnorm_attributes attributes;
    attributes.set_epsilon(eps);
    if (graph_.running) {
      CudnnOperand mean = channels(uid_running_mean), var = channels(uid_running_var);
      CudnnOperand momentum = to_.tensor(static_cast<float>(graph_.momentum));
      attributes.set_previous_running_stats(mean, var, momentum);
    }
    auto [result, mean, inv_std, next_mean, next_var] = to_.batchnorm(x, weight, bias, attributes);
    channels_out(mean, uid_mean), channels_out(inv_std, uid_inv_std);
    if (graph_.running) channels_out(next_mean, uid_next_mean), channels_out(next_var, uid_next_var);
    if (graph_.add) result = to_.pointwise(result, image(uid_add), mode(Mode::ADD));
    if (graph_.relu) result = to_.pointwise(result, mode(Mode::RELU_FWD));
    image_out(result, uid_y);
  }

  void backward() {
    CudnnOperand x = image(uid_x), weight = channels(uid_weight);
    CudnnOperand mean = channels(uid_mean), inv_std = channels(uid_inv_std);
    CudnnOperand gradient = image(uid_grad);
    if (graph_.sign == NormSign::input) {
      CudnnOperand bias = channels(uid_bias);
      const CudnnOperand y = to_.batchnorm_inference(x, mean, inv_std, weight, bias, {});
      gradient = to_.pointwise(gradient, y, mode(Mode::RELU_BWD));
    } else if (graph_.sign == NormSign::output) {
      const CudnnOperand passes = to_.pointwise(image(uid_y), to_.tensor(0.0f), mode(Mode::CMP_GT));
      passes->set_data_type(fe::DataType_t::BOOLEAN);
      gradient = to_.pointwise(gradient, passes, mode(Mode::MUL));
    }
    if (graph_.sign != NormSign::none) gradient->set_data_type(type_of(graph_.dtype));
    if (graph_.fork) image_out(gradient, uid_grad_add);
    fe::graph::Batchnorm_backward_attributes attributes;
    attributes.set_saved_mean_and_inv_variance(mean, inv_std);
    auto [grad_x, grad_weight, grad_bias] = to_.batchnorm_backward(gradient, x, weight, attributes);
    image_out(grad_x, uid_grad_x);
    channels_out(grad_weight, uid_grad_weight), channels_out(grad_bias, uid_grad_bias);
  }

  static fe::graph::Pointwise_attributes mode(Mode mode) { return fe::graph::Pointwise_attributes().set_mode(mode); }

  CudnnOperand image(Uid uid) {
    return to_.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim(vector_of(graph_.dims))
                          .set_stride(vector_of(graph_.strides())));
  }
  CudnnOperand channels(Uid uid) {
    const int64_t c = graph_.channels();
    return to_.tensor(fe::graph::Tensor_attributes()
                          .set_uid(uid)
                          .set_dim({1, c, 1, 1})
                          .set_stride({c, 1, c, c})
                          .set_data_type(fe::DataType_t::FLOAT));
  }
  void image_out(const CudnnOperand& result, Uid uid) const {
    result->set_output(true).set_uid(uid).set_data_type(type_of(graph_.dtype));
    result->set_dim(vector_of(graph_.dims)).set_stride(vector_of(graph_.strides()));
  }
  static void channels_out(const CudnnOperand& result, Uid uid) {
    result->set_output(true).set_uid(uid).set_data_type(fe::DataType_t::FLOAT);
  }

  const NormGraph& graph_;
  fe::graph::Graph& to_;
};

class CudnnNormPlans final : public NormPlans {
 public:
  // `where`: a context, or the properties of a GPU.
  template <class Where>
  CudnnNormPlans(const NormGraph& graph, Where& where) {
    const Description description(graph, graph_.description());
    graph_.offer(where);
    graph_.leave_out({fe::NumericalNote_t::NONDETERMINISTIC});
  }

  int64_t count() const override { return graph_.count(); }
  std::string name(int64_t plan) const override { return graph_.name(plan); }
  bool build(int64_t plan) override { return graph_.build(plan); }
  const std::string& refusal() const override { return graph_.refusal(); }
  int64_t workspace(int64_t plan) const override { return graph_.workspace(plan); }
  void run(int64_t plan, Context& context, const NormPointers& p, void* workspace) override {
    std::unordered_map<int64_t, void*> operands;
    const std::pair<Uid, void*> all[] = {{uid_x, p.x},
                                         {uid_weight, p.weight},
                                         {uid_bias, p.bias},
                                         {uid_mean, p.mean},
                                         {uid_inv_std, p.inv_std},
                                         {uid_y, p.y},
                                         {uid_add, p.add},
                                         {uid_running_mean, p.running_mean},
                                         {uid_running_var, p.running_var},
                                         {uid_next_mean, p.running_mean},
                                         {uid_next_var, p.running_var},
                                         {uid_grad, p.grad},
                                         {uid_grad_x, p.grad_x},
                                         {uid_grad_weight, p.grad_weight},
                                         {uid_grad_bias, p.grad_bias},
                                         {uid_grad_add, p.grad_add}};
    for (const auto& [uid, data] : all) {
      if (data != nullptr) operands.emplace(uid, data);
    }
    graph_.execute(plan, context, operands, workspace);
  }
  double time(int64_t, TrialClock& clock, const std::function<void()>& run) override { return clock.time(run); }

 private:
  CudnnGraph graph_;
};

}  // namespace

std::unique_ptr<NormPlans> norm_plans(const NormGraph& graph, Context& context) {
  return std::make_unique<CudnnNormPlans>(graph, context);
}

std::unique_ptr<NormPlans> norm_plans(const NormGraph& graph, std::string_view device_properties) {
  return std::make_unique<CudnnNormPlans>(graph, device_properties);
}

}  // namespace dnn::cuda
