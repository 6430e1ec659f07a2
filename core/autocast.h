// The inside of Autocast: what operations ask before they compute.
//
//   Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
//     if (autocasts()) {
//       const CastScope cast("linear", input);  // nothing is cast within the operation once more
//       return linear(cast(input), cast.weight(weight), cast.weight(bias));
//     }
//     ...
//
// A weight of float32 is cast once for each of its versions, into its shadow: a copy of 16 bits that keeps its address
// and that the optimizer's update refreshes in passing. What operations get is a tensor over the shadow that stands for
// the parameter in the graph, so that the gradient of 16 bits goes to the parameter itself.
#pragma once

#include "dnn/dtype.h"
#include "dnn/tensor.h"

namespace dnn::detail {

// The type that this thread casts to; float32 when it does not.
inline thread_local constinit DType autocast_type = DType::float32;

inline bool autocasts() { return autocast_type != DType::float32; }

// While it lives, nothing is cast.
class AutocastOff {
 public:
  AutocastOff() : before_(autocast_type) { autocast_type = DType::float32; }
  ~AutocastOff() { autocast_type = before_; }
  AutocastOff(const AutocastOff&) = delete;
  AutocastOff& operator=(const AutocastOff&) = delete;
  DType before() const { return before_; }

 private:
  DType before_;
};

// The operands of an operation of 16 bits; nothing else is cast while it lives. Throws DeviceError when the input lies
// on a CPU.
class CastScope {
 public:
  CastScope(const char* where, const Tensor& input);
  DType type() const { return off_.before(); }
  // An activation, cast by a recorded operation. What is undefined, of float64 or no floating number stays as it is.
  Tensor operator()(const Tensor& t) const;
  // A weight, which has a shadow unless another operation computed it.
  Tensor weight(const Tensor& t) const;
  // Either: a parameter counts as a weight.
  Tensor operand(const Tensor& t) const;

 private:
  AutocastOff off_;
};

// The input of an operation that computes in float32 under autocast: itself, or converted from 16 bits.
Tensor widened(const Tensor& t);

// The copy of `t`, a leaf of float32, in a type of 16 bits, made or renewed if need be.
Tensor shadow_of(const Tensor& t, DType type);

// The shadow of a parameter for an update to write: undefined when there is none, and, when the update may leave the
// parameter as it is, when the shadow is not up to date.
Tensor shadow_to_write(const Tensor& parameter, bool may_skip);
// Declares that the shadow holds the parameter as it is now.
void shadow_written(const Tensor& parameter);

}  // namespace dnn::detail
