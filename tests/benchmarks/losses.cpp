// Softmax and the losses: over few classes, many classes, and whole tensors.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Make entropy(int64_t classes, double smoothing = 0) {
  return [=](const Place& p) {
    const Tensor logits = p.rows(classes), labels = p.integers({logits.size(0)}, classes);
    return Operation{{logits}, [=](T t) { return cross_entropy(t[0], labels, {.label_smoothing = smoothing}); }};
  };
}

Operation classification(const Place& p) {
  const Tensor logits = p.rows(10), labels = p.integers({logits.size(0)}, 10);
  return {{logits}, [=](T t) { return classification_loss(t[0], labels).loss; }};
}

template <class Loss>
Make against_target(Loss loss) {
  return [loss](const Place& p) {
    const Tensor target = p.random({p.n});
    return Operation{{p.random({p.n})}, [=](T t) { return loss(t[0], target); }};
  };
}

}  // namespace

Family softmaxes_and_losses() {
  return {
      "loss",
      elements,
      {
          {"softmax_10", of(matrices(10), [](T t) { return softmax(t[0]); })},
          {"softmax_1000", of(matrices(1000), [](T t) { return softmax(t[0]); })},
          {"log_softmax_1000", of(matrices(1000), [](T t) { return log_softmax(t[0]); })},
          {"softmax_of_channels", of(images(21, 64), [](T t) { return softmax(t[0], 1); })},
          {"cross_entropy_10", entropy(10)},
          {"cross_entropy_1000", entropy(1000)},
          {"classification_10", classification},
          {"cross_entropy_1000_smooth", entropy(1000, 0.1)},
          {"mse", against_target([](const Tensor& x, const Tensor& y) { return mse_loss(x, y); })},
          {"l1", against_target([](const Tensor& x, const Tensor& y) { return l1_loss(x, y); })},
          {"huber", against_target([](const Tensor& x, const Tensor& y) { return huber_loss(x, y); })},
          {"bce_with_logits", against_target([](const Tensor& x, const Tensor& y) { return bce_with_logits(x, y); })},
      },
  };
}

}  // namespace dnn::bench
