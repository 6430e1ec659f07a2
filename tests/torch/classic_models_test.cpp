// The networks before AlexNet against PyTorch; classic_models.py has the same cases.
#include "dnn/models.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

template <class Make>
TorchCase network(const std::string& name, const TorchInput& image, Make make, double scale) {
  TorchCase result = layer_case(name, {image}, make, scale);
  result.tolerance = 1e-5;
  return result;
}

const TorchInput digit = R({2, 1, 28, 28}), zip_code = R({2, 1, 16, 16}, -1, 1);

const TorchCases cases{
    "classic_models",
    {
        network(
            "mlp", digit, [] { return mlp({.dropout = 0}); }, 0.1),
        network(
            "mlp.reduced", R({3, 2, 3, 3}),
            [] {
              return mlp({.inputs = 18, .hidden = {7, 5}, .dropout = 0});
            },
            0.5),
        network(
            "hinton2006", digit, [] { return hinton2006(); }, 0.1),
        network(
            "hinton2006.reduced", R({3, 1, 3, 3}), [] { return hinton2006({.inputs = 9, .width = 3}); }, 0.5),
        network(
            "lenet1989", zip_code, [] { return lenet1989(); }, 0.1),
        network(
            "lenet1989.reduced", zip_code, [] { return lenet1989({.width = 6}); }, 0.2),
        network(
            "lenet5", digit, [] { return lenet5(); }, 0.1),
        network(
            "lenet5.reduced", R({2, 1, 12, 12}), [] { return lenet5({.size = 12, .width = 3}); }, 0.3),
        network(
            "row_lstm", digit, [] { return row_lstm(); }, 0.1),
        network(
            "row_lstm.reduced", R({2, 2, 3, 5}), [] { return row_lstm({.channels = 2, .size = 5, .width = 4}); }, 0.5),
        network(
            "ciresan2011", digit, [] { return ciresan2011(); }, 0.1),
        network(
            "ciresan2011.reduced", R({2, 1, 13, 13}), [] { return ciresan2011({.size = 13, .width = 2}); }, 0.3),
        network(
            "ciresan2011_cifar", R({1, 3, 32, 32}), [] { return ciresan2011_cifar(); }, 0.05),
        network(
            "ciresan2011_cifar.reduced", R({2, 1, 21, 21}),
            [] { return ciresan2011_cifar({.channels = 1, .size = 21, .width = 3}); }, 0.5),
    }};

}  // namespace
}  // namespace dnn::test
