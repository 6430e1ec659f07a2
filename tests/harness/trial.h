// One sample of a row in one type on one device: its inputs, a call, the truth, and the comparison with it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/storage.h"
#include "tests/harness/op_row.h"
#include "tests/harness/tensors.h"

namespace dnn::test {

using detail::Layout;
using Tensors = std::vector<Tensor>;
using Arrays = std::vector<Array>;

// The layouts beside plain, by the names of their aspects.
inline const std::map<std::string, Layout> other_layouts{
    {"channels_last", Layout::channels_last}, {"blocked8", Layout::blocked8}, {"blocked16", Layout::blocked16}};

// Whether activations on a device may have a layout: only the CPU blocks channels.
inline bool device_has(Device device, Layout layout) { return device.is_cpu() || layout == Layout::channels_last; }

// What one call gave: the result, and the gradients of the inputs that have one.
struct Outcome {
  Array result;
  DType type = DType::float64;
  std::vector<Array> gradients;
  std::vector<bool> has_gradient;
};

class Trial {
 public:
  // Draws the inputs, the same ones in every run.
  Trial(const Row& row, const Sample& sample, DType type, Device device);

  const Sample& sample() const { return sample_; }
  size_t inputs() const { return values_.size(); }
  // The numbers in the inputs, rounded to their types.
  const Arrays& values() const { return values_; }
  Arrays& values() { return values_; }
  DType type_of(const Input& input) const;
  bool differentiable(size_t i) const;
  bool any_differentiable() const;

  // Input i as a leaf, plain in a form, or in another layout.
  Tensor leaf(size_t i, Form form = Form::plain) const;
  Tensor leaf_in(size_t i, Layout layout) const;
  Tensors leaves(Form form = Form::plain) const;
  bool takes_layout(size_t i, Layout layout) const;
  // Whether the inputs that can have a layout are of one shape: broadcasting works on plain tensors.
  bool all_activations_alike() const;

  // Calls the operation, the default generator being restarted.
  Tensor call(const Tensors& inputs) const;
  // Numbers for the upstream gradient of a result.
  Array upstream(const Tensor& result) const;
  Tensor upstream_tensor(const Tensor& result, Form form = Form::plain) const;
  // Calls the operation and runs back from its result; `gradient` makes another upstream gradient.
  Outcome run(const Tensors& inputs, const std::function<Tensor(const Tensor& result)>& gradient = {}) const;
  // What a call with a backward pass has left in the result and the inputs.
  Outcome outcome(const Tensor& result, const Tensors& inputs) const;
  // The truth: float64 on the CPU on the same numbers, the upstream gradient's included.
  Outcome expected(const std::optional<Array>& gradient = {}) const;

  // The epsilon that counts for a result or gradient of that type.
  double unit(DType type) const;
  void check_result(const Outcome& actual, const Outcome& truth) const;
  // `factor`: how often the gradient was added; `extra`: more roundings than usual; `least`: see close.
  void check_gradients(const Outcome& actual, const Outcome& truth, double factor = 1, double extra = 0,
                       double least = 0) const;

 private:
  const Row& row_;
  const Sample& sample_;
  DType type_;
  Device device_;
  Arrays values_;
};

}  // namespace dnn::test
