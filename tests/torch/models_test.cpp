// The showcase networks against PyTorch's, narrow and for small images; models.py has the same cases.
#include "dnn/models.h"

#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

constexpr double without_norm = 1e-5, with_norm = 1e-4;

// In training, without dropout, and in evaluation.
template <class Options, class Make>
std::vector<TorchCase> with_dropout(const std::string& name, const Shape& image, double tolerance, Make make,
                                    Options options) {
  Options none = options;
  none.dropout = 0;
  return {network_case(
              name, {R(image)}, [=] { return make(none); }, tolerance),
          network_case(
              name + ".eval", {R(image)}, [=] { return make(options); }, tolerance)};
}

template <class Make>
std::vector<TorchCase> of_residuals(const std::string& name, const Shape& image, Make make) {
  return {network_case(name, {R(image)}, make, with_norm), network_case(name + ".eval", {R(image)}, make, with_norm)};
}

const Shape large{2, 2, 64, 96}, small{2, 2, 16, 24};
constexpr ResNetOptions eighth{.classes = 5, .channels = 2, .width = 8},
    sixteenth{.classes = 5, .channels = 2, .width = 4};
constexpr ResNetCifarOptions quarter{.classes = 5, .channels = 2, .width = 4};
constexpr VGGOptions vgg{.classes = 5, .channels = 2, .width = 4};

const TorchCases networks{
    "models", [] {
      std::vector<TorchCase> all;
      for (const std::vector<TorchCase>& cases : {
               with_dropout("alexnet", {2, 2, 95, 127}, without_norm, alexnet,
                            AlexNetOptions{.classes = 5, .channels = 2, .width = 8}),
               with_dropout("alexnet2012", {2, 2, 95, 95}, without_norm, alexnet2012,
                            AlexNet2012Options{.classes = 5, .channels = 2, .size = 95, .width = 12}),
               with_dropout("vgg11", large, without_norm, vgg11, vgg),
               with_dropout("vgg16", large, without_norm, vgg16, vgg),
               with_dropout("vgg19", large, without_norm, vgg19, vgg),
               with_dropout("vgg16_bn", large, with_norm, vgg16,
                            VGGOptions{.classes = 5, .channels = 2, .width = 4, .batch_norm = true}),
               of_residuals("resnet18", large, [] { return resnet18(eighth); }),
               of_residuals("resnet34", large, [] { return resnet34(eighth); }),
               of_residuals("resnet50", large, [] { return resnet50(sixteenth); }),
               of_residuals("resnet101", large, [] { return resnet101(sixteenth); }),
               of_residuals("resnet152", large, [] { return resnet152(sixteenth); }),
               of_residuals("resnet_cifar20", small, [] { return resnet_cifar(20, quarter); }),
               of_residuals("resnet_cifar56", small, [] { return resnet_cifar(56, quarter); }),
               of_residuals("resnet_cifar20.projection", small,
                            [] {
                              return resnet_cifar(
                                  20, {.classes = 5, .channels = 2, .width = 4, .shortcut = Shortcut::projection});
                            }),
               of_residuals("plain_cifar20", small, [] { return plain_cifar(20, quarter); }),
               of_residuals("plain_cifar56", small, [] { return plain_cifar(56, quarter); }),
           })
        all.insert(all.end(), cases.begin(), cases.end());
      return all;
    }()};

}  // namespace
}  // namespace dnn::test
