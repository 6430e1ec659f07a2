// A graph of cuDNN's and the plans for it, through cudnn-frontend. For library sources alone, and for few: the
// frontend's headers take a minute.
//
// cuDNN is opened at run time (library.h), so the frontend gets its handle of dlopen. It would open the CUDA runtime as
// well, for helpers that are not used here: the runtime that libdnn is linked with measures the time.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cuda/check.h"
#include "cuda/context.h"
#include "cuda/cudnn.h"
#include "dnn/dtype.h"
#include "dnn/error.h"

// Hidden: a program may use another version of the frontend for itself. What the frontend calls is declared above.
#pragma GCC visibility push(hidden)
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#define DNN_FRONTEND_CHECK(expression) ::dnn::cuda::check_frontend((expression), #expression, __FILE__, __LINE__)

namespace dnn::cuda {

namespace fe = cudnn_frontend;

inline void check_frontend(fe::error_t status, const char* call, const char* file, int line) {
  if (status.is_good()) return;
  const std::string message = status.get_message();
  throw_call_failed(call, message.substr(0, message.find('\n')), file, line);
}

using CudnnOperand = std::shared_ptr<fe::graph::Tensor_attributes>;

inline std::vector<int64_t> vector_of(const std::array<int64_t, 4>& values) { return {values.begin(), values.end()}; }

// Described first, then offered for one GPU; from then on its plans can be built and run, by one thread at a time.
class CudnnGraph {
 public:
  CudnnGraph() { fe::cudnn_dlhandle = cudnn.handle(); }  // throws BackendError

  fe::graph::Graph& description() { return graph_; }

  // Asks the heuristics for plans on the context's GPU. A graph that cuDNN cannot compute has none.
  void offer(Context& context) {
    context_ = &context;
    const CudnnHandle handle(context);
    offer([&] { return graph_.build_operation_graph(handle); });
  }
  // The same for a GPU of the properties that cuDNN writes about one as JSON.
  void offer(std::string_view device_properties) {
    auto properties = std::make_shared<fe::DeviceProperties>();
    DNN_FRONTEND_CHECK(properties->deserialize({device_properties.begin(), device_properties.end()}));
    graph_.set_device_properties(std::move(properties));
    offer([&] { return graph_.build_operation_graph(); });
  }
  // Plans of which one of these is true shall not be built.
  void leave_out(const std::vector<fe::NumericalNote_t>& notes) { graph_.deselect_numeric_notes(notes); }

  int64_t count() const { return count_; }
  std::string name(int64_t plan) const {
    std::string name;
    DNN_FRONTEND_CHECK(graph_.get_plan_name_at_index(plan, name));
    return name.substr(std::min(name.size(), name.find("eng")));
  }
  bool build(int64_t plan) {
    std::optional<CudnnHandle> held;  // the graph knows the handle, which serves one thread at a time
    if (context_ != nullptr) held.emplace(*context_);
    return accepted([&] { return graph_.build_plan_at_index(plan); });
  }
  // What cuDNN said when it last refused something.
  const std::string& refusal() const { return refusal_; }
  int64_t workspace(int64_t plan) const {
    int64_t bytes = 0;
    DNN_FRONTEND_CHECK(graph_.get_workspace_size_plan_at_index(plan, bytes));
    return bytes;
  }
  // Runs a built plan on the context's stream; operands are named by their uids. Throws BackendError.
  void execute(int64_t plan, Context& context, std::unordered_map<int64_t, void*>& operands, void* workspace) {
    const CudnnHandle handle(context);
    DNN_FRONTEND_CHECK(graph_.execute_plan_at_index(handle, operands, workspace, plan));
  }

 private:
  template <class BuildGraph>
  void offer(const BuildGraph& build_graph) {
    const bool known = accepted([&] { return graph_.validate(); }) && accepted(build_graph) && accepted([&] {
                         return graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
                       });
    if (known) count_ = graph_.get_execution_plan_count();
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

  fe::graph::Graph graph_;
  const Context* context_ = nullptr;  // null for a GPU that need not be here
  int64_t count_ = 0;
  std::string refusal_;
};

}  // namespace dnn::cuda

#pragma GCC visibility pop
