// Numeric against analytic gradients, element by element in float64.
#include "dnn/gradcheck.h"

#include <cmath>

#include "core/text.h"
#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"

namespace dnn {

GradcheckResult gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  // Leaves of our own: the caller's tensors keep their gradients, and views of one storage do not move together.
  std::vector<Tensor> leaves;
  bool any = false;
  for (const Tensor& input : inputs) {
    NoGrad no_grad;
    Tensor leaf = input.contiguous().clone();
    if (input.requires_grad()) {
      any = true;
      if (input.dtype() != DType::float64)
        throw DTypeError(fmt::format("gradcheck: input {} is {}, expected float64 (shape {})", leaves.size(),
                                     input.dtype(), input.shape()));
      leaf.set_requires_grad();
    }
    leaves.push_back(leaf);
  }
  if (!any) throw ArgumentError(fmt::format("gradcheck: none of {} inputs requires a gradient", inputs.size()));

  const Generator start = default_generator();
  Tensor weights;
  const auto evaluate = [&] {
    default_generator() = start;
    Tensor y = f(leaves);
    if (!weights.defined()) {
      // Fixed uneven weights make one number of the output without hiding an element.
      std::vector<double> values(static_cast<size_t>(y.numel()));
      for (size_t i = 0; i < values.size(); ++i) values[i] = 0.5 + (philox(7, 0, i)[0] >> 8) * 0x1p-24;
      weights = from_values(values, y.shape(), y.device());
    }
    return (y * weights).sum();
  };
  evaluate().backward();

  GradcheckResult result;
  NoGrad no_grad;
  const double middle = evaluate().item();
  for (size_t n = 0; n < leaves.size(); ++n) {
    if (!leaves[n].requires_grad()) continue;
    const std::vector<double> analytic =
        leaves[n].has_grad() ? leaves[n].grad().to_vector<double>()
                             : std::vector<double>(static_cast<size_t>(leaves[n].numel()), 0.0);
    double largest = 0;
    for (const double slope : analytic) largest = std::max(largest, std::abs(slope));
    const double noise = 1e-8 * (1 + std::abs(middle));
    Tensor flat = leaves[n].detach().reshape({-1});
    for (int64_t i = 0; i < flat.numel(); ++i) {
      Tensor element = flat.select(0, i);
      const double value = element.item();
      element.fill_(value + options.step);
      const double above = evaluate().item();
      element.fill_(value - options.step);
      const double below = evaluate().item();
      element.fill_(value);
      const double numeric = (above - below) / (2 * options.step);
      const double bend = std::abs((above - middle) - (middle - below)) / options.step;
      if (options.skip_kinks && bend > 1e-2 * (largest + std::abs(numeric)) + noise) {
        ++result.skipped;
        continue;
      }
      ++result.checked;
      const double difference = std::abs(numeric - analytic[static_cast<size_t>(i)]);
      const bool agrees = difference <= options.atol + options.rtol * std::abs(numeric);  // false for NaN
      if (agrees && difference <= result.worst) continue;
      if (!agrees && (result.ok || !(difference <= result.worst))) {
        result.ok = false;
        result.message = fmt::format("gradcheck: element {} of input {}: analytic {:.10g}, numeric {:.10g} (shape {})", i,
                                     n, analytic[static_cast<size_t>(i)], numeric, leaves[n].shape());
      }
      result.worst = std::max(result.worst, difference);
    }
  }
  return result;
}

}  // namespace dnn
