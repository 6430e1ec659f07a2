// Evaluation: the same loop for a number and for outputs.
#include "dnn/train/evaluate.h"

#include <fmt/format.h>

#include "dnn/autograd.h"
#include "dnn/error.h"
#include "dnn/ops.h"
#include "train/batch_loss.h"
#include "train/precision_scope.h"

namespace dnn {
namespace {

// While it lives, the net is in evaluation and nothing is recorded; every module gets its own mode back.
class EvaluationScope {
 public:
  explicit EvaluationScope(Module& net) {
    for (const auto& [name, module] : net.modules()) modes_.push_back({module, module->training()});
    net.eval();
  }
  // `train` switches all that is inside too, so outer modules come first.
  ~EvaluationScope() {
    for (const auto& [module, training] : modes_) module->train(training);
  }
  EvaluationScope(const EvaluationScope&) = delete;
  EvaluationScope& operator=(const EvaluationScope&) = delete;

 private:
  struct Mode {
    Module* module;
    bool training;
  };
  std::vector<Mode> modes_;
  NoGrad no_grad_;
};

// The class of each row.
Tensor classes_of(const Tensor& output) {
  if (output.rank() != 2)
    throw ShapeError(fmt::format("predict_classes: output is {}, expected [n, classes]", output.shape().str()));
  return argmax(output, 1);
}

}  // namespace

Device device_of(const Module& net) {
  for (const auto& [name, tensor] : net.state_dict()) return tensor.device();
  return Device::cpu();
}

Evaluation evaluate(Layer& net, DataLoader& loader, const EvaluateOptions& options) {
  const EvaluationScope scope(net);
  const Device device = device_of(net);
  check_precision(options.precision, device);
  const double start = options.clock();
  RunningMean loss;
  Accuracy accuracy;
  for (const auto& metric : options.metrics) metric->reset();
  Evaluation result;
  for (const Batch& batch : loader) {
    if (options.cancelled && options.cancelled()) break;
    const Tensor target = batch.target.to(device);
    Tensor output;
    BatchLoss batch_loss;
    {
      const PrecisionScope precision(options.precision);
      output = readable(net(batch.input.to(device)), options.precision);
      batch_loss = loss_of(options.loss, output, target);
    }
    const int64_t count = batch.input.size(0);
    gather(loss, accuracy, batch_loss, count, output, target);
    for (const auto& metric : options.metrics) metric->update(output, target);
    result.samples += count;
  }
  result.loss = loss.value();
  result.accuracy = accuracy.value();
  for (const auto& metric : options.metrics) result.metrics[metric->name()] = metric->value();
  result.seconds = options.clock() - start;
  return result;
}

Tensor predict(Layer& net, const Tensor& input) {
  const EvaluationScope scope(net);
  return net(input.to(device_of(net))).to(input.device());
}

Tensor predict(Layer& net, DataLoader& loader) {
  const EvaluationScope scope(net);
  const Device device = device_of(net);
  std::vector<Tensor> outputs;
  for (const Batch& batch : loader) outputs.push_back(net(batch.input.to(device)).to(Device::cpu()));
  return cat(outputs);
}

Tensor predict_classes(Layer& net, const Tensor& input) { return classes_of(predict(net, input)); }
Tensor predict_classes(Layer& net, DataLoader& loader) { return classes_of(predict(net, loader)); }

}  // namespace dnn
