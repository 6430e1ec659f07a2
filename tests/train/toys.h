// Small nets, data and callbacks for the tests of training.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dnn/dnn.h"

namespace dnn::test {

// Random images [n, 1, size, size] with random classes below 10.
inline TensorDataset random_images(int64_t n, int64_t size = 28, uint64_t seed = 5) {
  Generator generator(seed);
  std::vector<float> pixels(static_cast<size_t>(n * size * size));
  for (float& pixel : pixels) pixel = static_cast<float>(generator.uniform());
  std::vector<int64_t> labels(static_cast<size_t>(n));
  for (int64_t& label : labels) label = static_cast<int64_t>(generator.below(10));
  return {from_values(pixels, {n, 1, size, size}), from_values(labels, {n})};
}

// LeNet-5 with ReLU and max pooling.
inline Sequential lenet() {
  return Sequential(Conv2d(1, 6, {.kernel = 5, .padding = 2}), ReLU(), MaxPool2d({.kernel = 2}),
                    Conv2d(6, 16, {.kernel = 5}), ReLU(), MaxPool2d({.kernel = 2}), Flatten(), Linear(400, 120), ReLU(),
                    Linear(120, 84), ReLU(), Linear(84, 10));
}

// All that draws random numbers or has buffers, for images of 8 x 8.
inline Sequential small_net() {
  return Sequential(Conv2d(1, 4, {.kernel = 3}), BatchNorm2d(4), ReLU(), MaxPool2d({.kernel = 2}), Flatten(),
                    Dropout(0.3), Linear(36, 10));
}

// Two logits, which are the two inputs: the net is right about a sample when the larger input is at its class.
inline Sequential identity_net() {
  Linear linear(2, 2, {.bias = false});
  const NoGrad no_grad;
  linear.weight.copy_(tensor({1, 0, 0, 1}, {2, 2}));
  return Sequential(std::move(linear));
}

// y = x for x = 1, 2, 3, and the net that has to learn the 1.
inline TensorDataset line_data() {
  const Tensor x = tensor({1, 2, 3}, {3, 1});
  return {x, x};
}
inline Sequential line_net(double weight) {
  Linear linear(1, 1, {.bias = false});
  const NoGrad no_grad;
  linear.weight.fill_(weight);
  return Sequential(std::move(linear));
}
inline Tensor squared_error(const Tensor& output, const Tensor& target) { return mse_loss(output, target); }

// Every element of a state, as float64.
inline std::vector<double> numbers(const StateDict& state) {
  std::vector<double> all;
  for (const auto& [name, t] : state) {
    const std::vector<double> values = t.to(DType::float64).to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// While it lives, a signal has the given handler, whatever the process that started the tests did to it.
class SignalScope {
 public:
  SignalScope(int signal, void (*handler)(int)) : signal_(signal), before_(std::signal(signal, handler)) {}
  ~SignalScope() { std::signal(signal_, before_); }
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

 private:
  int signal_;
  void (*before_)(int);
};

// Calls a function after each step.
class AfterStep : public Callback {
 public:
  explicit AfterStep(std::function<void(Trainer&)> f) : f_(std::move(f)) {}
  void on_step_end(Trainer& trainer) override { f_(trainer); }

 private:
  std::function<void(Trainer&)> f_;
};

// A clock that stands still, but for `seconds_per_step` during each step.
class StepClock : public Callback {
 public:
  explicit StepClock(double seconds_per_step) : seconds_per_step_(seconds_per_step) {}
  void on_step_begin(Trainer&) override { *now_ += seconds_per_step_; }
  Clock clock() const {
    return [now = now_] { return *now; };
  }
  void advance(double seconds) { *now_ += seconds; }

 private:
  std::shared_ptr<double> now_ = std::make_shared<double>(100);
  double seconds_per_step_;
};

}  // namespace dnn::test
