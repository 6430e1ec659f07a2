// The seam to cuDNN's convolutions: the plans that the library offers for a graph. conv_cudnn.cpp implements it on
// cuDNN's graph API; the emulator has a stand-in that computes the graph in plain loops.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cuda/conv_graph.h"

namespace dnn::cuda {

class Context;
class TrialClock;

// The operands of a graph in device memory; null where the graph has none.
struct ConvPointers {
  void* x = nullptr;
  void* weight = nullptr;
  void* y = nullptr;
  void* add = nullptr;
  void* bias = nullptr;
};

// Plans are numbered from 0 in the order in which the library expects them to be fast. One thread at a time.
class ConvPlans {
 public:
  virtual ~ConvPlans() = default;

  virtual int64_t count() const = 0;
  // "eng51_k2=5_k25=0": the library's name of the code and its settings.
  virtual std::string name(int64_t plan) const = 0;
  // Makes the plan ready to run; false when it cannot be, or must not.
  virtual bool build(int64_t plan) = 0;
  // What the library said when it last refused something.
  virtual const std::string& refusal() const = 0;
  // Bytes of device memory that a built plan works in.
  virtual int64_t workspace(int64_t plan) const = 0;
  // Runs a built plan on the context's stream. Throws BackendError.
  virtual void run(int64_t plan, Context& context, const ConvPointers& pointers, void* workspace) = 0;
  // Milliseconds that a built plan runs. Waits; throws BackendError.
  virtual double time(int64_t plan, Context& context, const ConvPointers& pointers, void* workspace,
                      TrialClock& clock) = 0;
};

// The plans for the context's GPU.
std::unique_ptr<ConvPlans> conv_plans(const ConvGraph& graph, Context& context);

// The library and its version: "cudnn 9.19.0".
std::string conv_library();

// The plans for a GPU of the properties that cuDNN writes about one as JSON: there need not be any here. They can be
// built, but not run.
std::unique_ptr<ConvPlans> conv_plans(const ConvGraph& graph, std::string_view device_properties);

}  // namespace dnn::cuda
