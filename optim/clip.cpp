// Clipping of gradients: two launches to measure all of them, one to scale them, and nothing waits for a device.
#include "dnn/optim/clip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"

namespace dnn {

namespace {

using List = std::vector<Tensor>;

// Of each device that has some, its gradients.
std::vector<List> gradients_by_device(const List& parameters) {
  std::vector<List> lists;
  for (const Tensor& parameter : parameters) {
    if (!parameter.has_grad()) continue;
    const Tensor gradient = parameter.grad();
    auto list = std::find_if(lists.begin(), lists.end(),
                             [&](const List& other) { return other.front().device() == gradient.device(); });
    if (list == lists.end()) list = lists.insert(list, List());
    list->push_back(gradient);
  }
  return lists;
}

// min(x, limit), NaN staying NaN.
Tensor at_most(const Tensor& x, const Tensor& limit) { return x - relu(x - limit); }

// The norm of all lists together and the factor that clips it, on the device of the first.
GradientMeasures measure(const std::vector<List>& lists, double max_norm, bool infinity_norm) {
  MeasureOptions options{.infinity_norm = infinity_norm, .max_norm = max_norm};
  if (lists.size() == 1) return measure_gradients(lists.front(), options);
  options.max_norm = 0;
  List norms;
  for (const List& list : lists)
    norms.push_back(measure_gradients(list, options).norm.to(lists[0][0].device()).to(DType::float64).reshape({1}));
  const Tensor norm = infinity_norm ? max(cat(norms)) : sqrt(sum(square(cat(norms))));
  return {norm, at_most(max_norm / (norm + 1e-6), ones({}, norm.options())), {}};
}

}  // namespace

Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipNormOptions& options) {
  if (!(max_norm > 0))
    throw ArgumentError(fmt::format("clip_grad_norm_: max_norm is {}, expected a positive number", max_norm));
  NoGrad no_grad;
  const std::vector<List> lists = gradients_by_device(parameters);
  if (lists.empty()) return zeros({});
  const GradientMeasures found = measure(lists, max_norm, options.infinity_norm);
  if (options.error_if_nonfinite && !std::isfinite(found.norm.item()))
    throw ArgumentError(
        fmt::format("clip_grad_norm_: the norm of the gradients is {}, expected a finite number", found.norm.item()));
  for (const List& list : lists) scale_gradients_(list, found.factor.to(list.front().device()));
  return found.norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double limit) {
  if (!(limit > 0))
    throw ArgumentError(fmt::format("clip_grad_value_: the limit is {}, expected a positive number", limit));
  NoGrad no_grad;
  for (const Tensor& parameter : parameters) {
    if (!parameter.has_grad()) continue;
    Tensor gradient = parameter.grad();
    gradient.copy_(clamp(gradient, -limit, limit));
  }
}

}  // namespace dnn
