// Plans of cuDNN's graph API, through cudnn-frontend. The one file that sees its headers, which take a minute.
//
// cuDNN is opened at run time (library.h), so the frontend gets its handle of dlopen. It would open the CUDA runtime as
// well, for helpers that are not used here: the runtime that libdnn is linked with measures the time.
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/conv_plan.h"
#include "cuda/cudnn.h"
#include "cuda/trial.h"
#include "dnn/error.h"

// Hidden: a program may use another version of the frontend for itself. What the frontend calls is declared above.
#pragma GCC visibility push(hidden)
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>
namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}
#pragma GCC visibility pop

namespace dnn::cuda {

namespace fe = cudnn_frontend;

namespace {

// What names the operands to a plan.
enum Uid : int64_t { uid_x = 1, uid_weight, uid_y, uid_add, uid_bias };

void check(fe::error_t status, const char* call, const char* file, int line) {
  if (status.is_good()) return;
  const std::string message = status.get_message();
  throw_call_failed(call, message.substr(0, message.find('\n')), file, line);
}

#define DNN_FRONTEND_CHECK(expression) check((expression), #expression, __FILE__, __LINE__)

fe::DataType_t type_of(DType type) {
  switch (type) {
    case DType::float64: return fe::DataType_t::DOUBLE;
    case DType::float32: return fe::DataType_t::FLOAT;
    case DType::float16: return fe::DataType_t::HALF;
    case DType::bfloat16: return fe::DataType_t::BFLOAT16;
    default: throw DTypeError(fmt::format("conv2d: no kernel for elements of type {}", dnn::name_of(type)));
  }
}

std::vector<int64_t> vector_of(const std::array<int64_t, 4>& values) { return {values.begin(), values.end()}; }
std::vector<int64_t> vector_of(Size2 size) { return {size.h, size.w}; }

using Operand = std::shared_ptr<fe::graph::Tensor_attributes>;

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
    attributes.set_padding(vector_of(graph_.padding));
    attributes.set_stride(vector_of(graph_.stride)).set_dilation(vector_of(graph_.dilation));
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
  CudnnPlans(const ConvGraph& graph, Context& context) : CudnnPlans(graph) {
    context_ = &context;
    const CudnnHandle handle(context);
    offer([&] { return graph_.build_operation_graph(handle); });
  }
  CudnnPlans(const ConvGraph& graph, std::string_view device_properties) : CudnnPlans(graph) {
    auto properties = std::make_shared<fe::DeviceProperties>();
    DNN_FRONTEND_CHECK(properties->deserialize({device_properties.begin(), device_properties.end()}));
    graph_.set_device_properties(std::move(properties));
    offer([&] { return graph_.build_operation_graph(); });
  }

  int64_t count() const override { return count_; }
  std::string name(int64_t plan) const override {
    std::string name;
    DNN_FRONTEND_CHECK(graph_.get_plan_name_at_index(plan, name));
    return name.substr(std::min(name.size(), name.find("eng")));
  }
  bool build(int64_t plan) override {
    std::optional<CudnnHandle> held;  // the graph knows the handle, which serves one thread at a time
    if (context_ != nullptr) held.emplace(*context_);
    return accepted([&] { return graph_.build_plan_at_index(plan); });
  }
  const std::string& refusal() const override { return refusal_; }
  int64_t workspace(int64_t plan) const override {
    int64_t bytes = 0;
    DNN_FRONTEND_CHECK(graph_.get_workspace_size_plan_at_index(plan, bytes));
    return bytes;
  }
  void run(int64_t plan, Context& context, const ConvPointers& pointers, void* workspace) override {
    const CudnnHandle handle(context);
    execute(plan, handle, pointers, workspace);
  }
  double time(int64_t plan, Context& context, const ConvPointers& pointers, void* workspace,
              TrialClock& clock) override {
    const CudnnHandle handle(context);
    return clock.time([&] { execute(plan, handle, pointers, workspace); });
  }

 private:
  explicit CudnnPlans(const ConvGraph& graph) : tensor_cores_(graph.tensor_cores), deterministic_(graph.deterministic) {
    fe::cudnn_dlhandle = cudnn.handle();
    const Description description(graph, graph_);
  }

  // Asks the heuristics. A graph that cuDNN cannot compute has no plans.
  template <class BuildGraph>
  void offer(const BuildGraph& build_graph) {
    const bool known = accepted([&] { return graph_.validate(); }) && accepted(build_graph) && accepted([&] {
                         return graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
                       });
    if (!known) return;
    using Note = fe::NumericalNote_t;
    // Rounded to half precision on the way, and sums of 16 bits.
    graph_.deselect_numeric_notes({Note::DOWN_CONVERT_INPUTS, Note::REDUCED_PRECISION_REDUCTION});
    if (deterministic_) graph_.deselect_numeric_notes({Note::NONDETERMINISTIC});
    if (!tensor_cores_) graph_.deselect_numeric_notes({Note::TENSOR_CORE});
    count_ = graph_.get_execution_plan_count();
  }

  // Whether the frontend agrees, with its message when it does not.
  template <class Call>
  bool accepted(const Call& call) {
    try {
      fe::error_t status = call();
      if (status.is_good()) return true;
      refusal_ = status.get_message();
    } catch (const BackendError&) {
      throw;
    } catch (const std::exception& error) {
      refusal_ = error.what();
    }
    refusal_ = refusal_.substr(0, refusal_.find('\n'));
    return false;
  }

  void execute(int64_t plan, cudnnHandle_t handle, const ConvPointers& p, void* workspace) {
    std::unordered_map<int64_t, void*> pack;
    const std::pair<Uid, void*> all[] = {
        {uid_x, p.x}, {uid_weight, p.weight}, {uid_y, p.y}, {uid_add, p.add}, {uid_bias, p.bias}};
    for (const auto& [uid, data] : all) {
      if (data != nullptr) pack.emplace(uid, data);
    }
    DNN_FRONTEND_CHECK(graph_.execute_plan_at_index(handle, pack, workspace, plan));
  }

  fe::graph::Graph graph_;
  const Context* context_ = nullptr;  // null for a GPU that need not be here
  const bool tensor_cores_;
  const bool deterministic_;
  int64_t count_ = 0;
  std::string refusal_;
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
