// Twenty steps of each optimizer and twelve rates of each schedule against PyTorch; optim.py has the same cases.
#include "dnn/optim.h"

#include <functional>
#include <memory>

#include "dnn/autograd.h"
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

// The parameters after each of 20 steps [20, 7]; the gradient of step t is hashed(t) + w / 10.
template <class Optim, class Options>
TorchCase trajectory(const std::string& name, const Options& options) {
  return {name, {R({7})}, [options](const Xs& x) {
            NoGrad no_grad;
            Tensor w = x[0].detach().clone().set_requires_grad();
            Optim optimizer(std::vector<Tensor>{w}, options);
            std::vector<Tensor> rows;
            for (uint64_t t = 1; t <= 20; ++t) {
              w.set_grad(hashed({7}, t).to(w.dtype()) + 0.1 * w.detach());
              optimizer.step();
              rows.push_back(w.detach().clone().unsqueeze(0));
            }
            return cat(rows);
          }};
}

TorchCase rates(const std::string& name, const Schedule& schedule) {
  return {name, {}, [schedule](const Xs&) {
            std::vector<double> row;
            for (int64_t step = 0; step < 12; ++step) row.push_back(schedule(step));
            return from_values(row, {12});
          }};
}

const TorchCases cases{
    "optim",
    {
        trajectory<SGD>("sgd", SgdOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}),
        trajectory<SGD>("sgd.nesterov", SgdOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}),
        trajectory<SGD>("sgd.dampening", SgdOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5}),
        trajectory<Adam>("adam", AdamOptions{.lr = 0.05, .weight_decay = 0.01}),
        trajectory<AdamW>("adamw", AdamWOptions{.lr = 0.05, .weight_decay = 0.1}),
        trajectory<RMSprop>("rmsprop", RmspropOptions{.lr = 0.01, .weight_decay = 0.01}),
        trajectory<RMSprop>("rmsprop.centered", RmspropOptions{.lr = 0.01, .momentum = 0.9, .centered = true}),
        trajectory<Adagrad>("adagrad",
                            AdagradOptions{.lr = 0.1, .lr_decay = 0.1, .weight_decay = 0.01, .initial_sum = 0.5}),
        rates("step", StepDecay{.every = 3, .gamma = 0.5}),
        rates("multi_step", MultiStepDecay{.milestones = {2, 5}}),
        rates("exponential", ExponentialDecay{.gamma = 0.9}),
        rates("polynomial", PolynomialDecay{.steps = 8, .power = 2}),
        rates("cosine", CosineDecay{.steps = 12, .min = 0.1}),
        rates("one_cycle", OneCycle{.steps = 13, .pct_start = 0.4}),
        rates("warmup", LinearWarmup{.steps = 4, .start = 0.25, .then = CosineDecay{.steps = 8}}),
    }};

}  // namespace
}  // namespace dnn::test
