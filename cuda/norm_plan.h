// The seam to cuDNN's batch normalisation: the plans that the library offers for a graph. norm_cudnn.cpp implements it
// on cuDNN's graph API; the emulator has a stand-in that computes the graph in plain loops.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cuda/norm_graph.h"

namespace dnn::cuda {

class Context;
class TrialClock;

// The operands of a graph in device memory; null where the graph has none. y, mean and inv_std are results of the
// forward pass and read by the backward pass; the running statistics are read and written.
struct NormPointers {
  void* x = nullptr;
  void* weight = nullptr;
  void* bias = nullptr;
  void* mean = nullptr;
  void* inv_std = nullptr;
  void* y = nullptr;
  void* add = nullptr;  // forward, with the running statistics
  void* running_mean = nullptr;
  void* running_var = nullptr;
  void* grad = nullptr;  // of y; backward, with all below
  void* grad_x = nullptr;
  void* grad_weight = nullptr;
  void* grad_bias = nullptr;
  void* grad_add = nullptr;
};

// Plans are numbered from 0 in the order in which the library expects them to be fast. One thread at a time.
class NormPlans {
 public:
  virtual ~NormPlans() = default;

  virtual int64_t count() const = 0;
  // "eng5_k29=2": the library's name of the code and its settings.
  virtual std::string name(int64_t plan) const = 0;
  // Makes the plan ready to run; false when it cannot be, or gives other bits in every run.
  virtual bool build(int64_t plan) = 0;
  // What the library said when it last refused something.
  virtual const std::string& refusal() const = 0;
  // Bytes of device memory that a built plan works in.
  virtual int64_t workspace(int64_t plan) const = 0;
  // Runs a built plan on the context's stream. Throws BackendError.
  virtual void run(int64_t plan, Context& context, const NormPointers& pointers, void* workspace) = 0;
  // Milliseconds that `run` takes, which runs the plan and what else there is to do. Waits; throws BackendError.
  virtual double time(int64_t plan, TrialClock& clock, const std::function<void()>& run) = 0;
};

// The plans for the context's GPU.
std::unique_ptr<NormPlans> norm_plans(const NormGraph& graph, Context& context);

// The plans for a GPU of the properties that cuDNN writes about one as JSON: there need not be any here. They can be
// built, but not run.
std::unique_ptr<NormPlans> norm_plans(const NormGraph& graph, std::string_view device_properties);

}  // namespace dnn::cuda
