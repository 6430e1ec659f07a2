// The comparison with PyTorch: what the scripts beside this file recorded, against what libdnn computes.
//
//   const TorchCases cases{"ops", {{"gelu", {R({3, 5})}, [](const Xs& x) { return gelu(x[0]); }}, ...}};
//
// Each case becomes a test: in float64 the result and all gradients agree to 1e-8, in float32 the result to 1e-6 (whole
// networks: their own tolerance), both in relative L2. Cases without a recording, and recordings without a case, fail.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dnn/module.h"
#include "dnn/tensor.h"

namespace dnn::test {

// A tensor of numbers in [low, high) that the scripts compute as well (frame.py).
Tensor hashed(const Shape& shape, uint64_t stream, double low = -1, double high = 1);

// An input: numbers in [low, high), or whole ones of type int64.
struct TorchInput {
  Shape shape;
  double low = -2, high = 2;
  bool whole = false;
};
inline TorchInput R(const Shape& shape, double low = -2, double high = 2) { return {shape, low, high}; }
inline TorchInput I(const Shape& shape, double low, double high) { return {shape, low, high, true}; }

using Xs = std::vector<Tensor>;

// One case: a function of the inputs, or of a module (made anew for each type) and the inputs.
struct TorchCase {
  std::string name;
  std::vector<TorchInput> inputs;
  std::function<Tensor(const Xs&)> function = {};
  std::function<std::unique_ptr<Module>()> module = {};
  std::function<Tensor(Module&, const Xs&)> call = {};
  double scale = 0.5;                            // parameters are numbers in [-scale, scale)
  std::vector<std::vector<double>> listed = {};  // inputs of these numbers, before the others
  bool network = false;                          // parameters and gradients as File.network of frame.py has them
  double tolerance = 1e-6;                       // of the result in float32
};

// A case of a layer, or of a module that is called by `call`.
template <class M, class Make>
TorchCase module_case(const std::string& name, std::vector<TorchInput> inputs, Make make,
                      std::function<Tensor(M&, const Xs&)> call, double scale = 0.5) {
  return {.name = name,
          .inputs = std::move(inputs),
          .module = [make]() -> std::unique_ptr<Module> { return std::make_unique<M>(make()); },
          .call = [call](Module& module, const Xs& x) { return call(static_cast<M&>(module), x); },
          .scale = scale};
}
template <class Make>
TorchCase layer_case(const std::string& name, std::vector<TorchInput> inputs, Make make, double scale = 0.5) {
  using M = decltype(make());
  return module_case<M>(
      name, std::move(inputs), make, [](M& layer, const Xs& x) { return layer(x[0]); }, scale);
}

// A case of a network, in evaluation when its name ends in ".eval".
template <class Make>
TorchCase network_case(const std::string& name, std::vector<TorchInput> inputs, Make make, double tolerance) {
  TorchCase c = layer_case(name, std::move(inputs), [make, evaluation = name.ends_with(".eval")] {
    auto net = make();
    net.train(!evaluation);
    return net;
  });
  c.network = true;
  c.tolerance = tolerance;
  return c;
}

// The recording of a script; throws when it is not there.
const StateDict& recording(const std::string& script);

// |actual - expected| / |expected|, in float64.
double relative_l2(const Tensor& actual, const Tensor& expected);

// Cases that become tests of the suite `<script>` when the program starts.
struct TorchCases {
  TorchCases(const std::string& script, const std::vector<TorchCase>& cases);
};

}  // namespace dnn::test
