// The workloads by their names.
#include "examples/bench/workloads.h"

using namespace dnn;

namespace {

template <class Net>
std::unique_ptr<Layer> own(Net net) {
  return std::make_unique<Net>(std::move(net));
}

}  // namespace

const std::vector<Workload>& workloads() {
  static const Shape digit{1, 28, 28}, small{3, 32, 32}, large{3, 224, 224};
  static const std::vector<Workload> list{
      {"mlp", [] { return own(mlp()); }, digit, 10, 32, 32, true},
      {"lenet5", [] { return own(lenet5()); }, digit, 10, 64, 64, false},
      {"lstm-rows", [] { return own(row_lstm()); }, digit, 10, 128, 128, true},
      {"resnet20-cifar", [] { return own(resnet_cifar(20, {.shortcut = Shortcut::projection})); }, small, 10, 128, 128,
       false},
      {"alexnet2012", [] { return own(alexnet2012({.size = 227})); }, {3, 227, 227}, 1000, 32, 512, false},
      {"alexnet", [] { return own(alexnet()); }, large, 1000, 32, 512, false},
      {"resnet18", [] { return own(resnet18()); }, large, 1000, 16, 256, false},
      {"resnet50", [] { return own(resnet50()); }, large, 1000, 8, 256, false},
  };
  return list;
}

const Workload& workload(const std::string& name) {
  std::string known;
  for (const Workload& candidate : workloads()) {
    if (candidate.name == name) return candidate;
    known += (known.empty() ? "" : ", ") + candidate.name;
  }
  throw ArgumentError("there is no workload '" + name + "', expected one of " + known);
}

std::shared_ptr<Optimizer> Workload::optimizer(const std::vector<Tensor>& parameters) const {
  if (adam) return std::make_shared<Adam>(parameters, AdamOptions{.lr = 1e-3});
  return std::make_shared<SGD>(parameters, SgdOptions{.lr = 1e-2, .momentum = 0.9, .weight_decay = 1e-4});
}
