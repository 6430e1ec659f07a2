// Cross-entropy with probabilities against PyTorch; softtargets.py has the same cases.
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

std::vector<TorchCase> cases() {
  const Tensor weight = tensor({0.5, 2, 1, 0.25, 3}, {5}, {.dtype = DType::float64});
  const std::vector<std::pair<std::string, Shape>> inputs{{"rows", {6, 5}}, {"image", {2, 5, 3, 4}}, {"single", {5}}};
  const std::vector<std::pair<std::string, Reduction>> reductions{
      {"sum", Reduction::sum}, {"none", Reduction::none}, {"mean", Reduction::mean}};
  std::vector<TorchCase> result;
  for (const auto& [name, shape] : inputs) {
    const std::vector<TorchInput> pair{R(shape), R(shape, 0, 1)};
    result.push_back({name, pair, [](const Xs& x) { return cross_entropy(x[0], x[1]); }});
    for (const auto& [ending, reduction] : reductions)
      result.push_back({name + "." + ending, pair, [weight, reduction = reduction](const Xs& x) {
                          return cross_entropy(x[0], x[1],
                                               {.weight = weight, .reduction = reduction, .label_smoothing = 0.3});
                        }});
  }
  return result;
}

const TorchCases soft_target_cases{"softtargets", cases()};

}  // namespace
}  // namespace dnn::test
