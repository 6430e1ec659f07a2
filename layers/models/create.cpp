// Networks by their names: a table of those with a name of their own, and one of families that come in any depth.
#include "dnn/models/create.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "dnn/models/alexnet.h"
#include "dnn/models/ciresan.h"
#include "dnn/models/lenet.h"
#include "dnn/models/mlp.h"
#include "dnn/models/resnet.h"
#include "dnn/models/row_lstm.h"
#include "dnn/models/vgg.h"

namespace dnn {

namespace {

using Network = std::unique_ptr<Layer>;

struct Entry {
  ModelInfo info;
  Network (*make)(const ModelOptions&);
};

// Networks whose name ends in their depth.
struct Family {
  std::string prefix, depths;  // "resnet", "6 n + 2: 8, 14, 20, ..."
  Network (*make)(int64_t depth, const ModelOptions&);
};

template <class Net>
Network own(Net&& net) {
  return std::make_unique<std::remove_cvref_t<Net>>(std::forward<Net>(net));
}

// The options of a network, with what is asked for in place of its own numbers.
template <class Options>
Options adapt(const ModelOptions& asked) {
  Options options;
  if (asked.classes != 0) options.classes = asked.classes;
  if constexpr (requires { options.channels; })
    if (asked.channels != 0) options.channels = asked.channels;
  if constexpr (requires { options.size; })
    if (asked.size != 0) options.size = asked.size;
  if constexpr (requires { options.width; })
    if (asked.width != 0) options.width = asked.width;
  if constexpr (requires { options.inputs; }) {  // the pixels of an image
    const int64_t channels = asked.channels != 0 ? asked.channels : 1, size = asked.size != 0 ? asked.size : 28;
    options.inputs = channels * size * size;
  }
  return options;
}

// A network as a function of its options.
template <class Options, auto network>
Network make(const ModelOptions& asked) {
  return own(network(adapt<Options>(asked)));
}

Network make_mlp(const ModelOptions& asked) {
  auto options = adapt<MlpOptions>(asked);
  if (asked.width != 0) options.hidden = {asked.width};
  return own(mlp(options));
}

Network make_lenet1989(const ModelOptions& asked) {
  if (asked.size != 0 && asked.size != 16)
    throw ArgumentError(fmt::format("lenet1989: size is {}, expected 16", asked.size));
  return own(lenet1989(adapt<LeNet1989Options>(asked)));
}

Network make_resnet_cifar(int64_t depth, const ModelOptions& asked) {
  return own(resnet_cifar(depth, adapt<ResNetCifarOptions>(asked)));
}

Network make_plain_cifar(int64_t depth, const ModelOptions& asked) {
  return own(plain_cifar(depth, adapt<ResNetCifarOptions>(asked)));
}

// One network of a family.
template <int64_t depth, auto make_family>
Network of_depth(const ModelOptions& asked) {
  return make_family(depth, asked);
}

const std::vector<Entry>& entries() {
  static const Shape digit{1, 28, 28}, small{3, 32, 32}, large{3, 224, 224};
  static const std::string vgg =
      "Simonyan and Zisserman, \"Very deep convolutional networks for large-scale image recognition\", ICLR 2015";
  static const std::string resnet = "He et al., \"Deep residual learning for image recognition\", CVPR 2016";
  static const std::string ciresan =
      "Ciresan et al., \"Flexible, high performance convolutional neural networks for image classification\", IJCAI "
      "2011";
  static const std::vector<Entry> list{
      {{"mlp", 10, digit,
        "Rumelhart, Hinton and Williams, \"Learning representations by back-propagating errors\", Nature 1986"},
       make_mlp},
      {{"hinton2006", 10, digit,
        "Hinton, Osindero and Teh, \"A fast learning algorithm for deep belief nets\", Neural Computation 2006"},
       make<Hinton2006Options, hinton2006>},
      {{"row_lstm", 10, digit, "Hochreiter and Schmidhuber, \"Long short-term memory\", Neural Computation 1997"},
       make<RowLstmOptions, row_lstm>},
      {{"lenet1989",
        10,
        {1, 16, 16},
        "LeCun et al., \"Backpropagation applied to handwritten zip code recognition\", Neural Computation 1989"},
       make_lenet1989},
      {{"lenet5", 10, digit,
        "LeCun et al., \"Gradient-based learning applied to document recognition\", Proceedings of the IEEE 1998"},
       make<LeNet5Options, lenet5>},
      {{"ciresan2011", 10, digit, ciresan}, make<Ciresan2011Options, ciresan2011>},
      {{"ciresan2011_cifar", 10, small, ciresan}, make<Ciresan2011CifarOptions, ciresan2011_cifar>},
      {{"alexnet2012", 1000, large,
        "Krizhevsky, Sutskever and Hinton, \"ImageNet classification with deep convolutional neural networks\", NIPS "
        "2012"},
       make<AlexNet2012Options, alexnet2012>},
      {{"alexnet", 1000, large,
        "Krizhevsky, \"One weird trick for parallelizing convolutional neural networks\", arXiv:1404.5997, 2014"},
       make<AlexNetOptions, alexnet>},
      {{"vgg11", 1000, large, vgg}, make<VGGOptions, vgg11>},
      {{"vgg16", 1000, large, vgg}, make<VGGOptions, vgg16>},
      {{"vgg19", 1000, large, vgg}, make<VGGOptions, vgg19>},
      {{"resnet18", 1000, large, resnet}, make<ResNetOptions, resnet18>},
      {{"resnet34", 1000, large, resnet}, make<ResNetOptions, resnet34>},
      {{"resnet50", 1000, large, resnet}, make<ResNetOptions, resnet50>},
      {{"resnet101", 1000, large, resnet}, make<ResNetOptions, resnet101>},
      {{"resnet152", 1000, large, resnet}, make<ResNetOptions, resnet152>},
      {{"resnet20", 10, small, resnet}, of_depth<20, make_resnet_cifar>},
      {{"resnet32", 10, small, resnet}, of_depth<32, make_resnet_cifar>},
      {{"resnet44", 10, small, resnet}, of_depth<44, make_resnet_cifar>},
      {{"resnet56", 10, small, resnet}, of_depth<56, make_resnet_cifar>},
      {{"resnet110", 10, small, resnet}, of_depth<110, make_resnet_cifar>},
      {{"plain20", 10, small, resnet}, of_depth<20, make_plain_cifar>},
      {{"plain32", 10, small, resnet}, of_depth<32, make_plain_cifar>},
      {{"plain44", 10, small, resnet}, of_depth<44, make_plain_cifar>},
      {{"plain56", 10, small, resnet}, of_depth<56, make_plain_cifar>},
      {{"plain110", 10, small, resnet}, of_depth<110, make_plain_cifar>},
  };
  return list;
}

const std::vector<Family>& families() {
  static const std::vector<Family> list{{"resnet", "6 n + 2: 8, 14, 20, ...", make_resnet_cifar},
                                        {"plain", "6 n + 2: 8, 14, 20, ...", make_plain_cifar}};
  return list;
}

// The number that follows the prefix, when that is all of the rest.
std::optional<int64_t> depth_in(const std::string& name, const std::string& prefix) {
  int64_t depth = 0;
  const char* const end = name.data() + name.size();
  if (!name.starts_with(prefix)) return {};
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, depth);
  if (error != std::errc() || stop != end) return {};
  return depth;
}

constexpr int64_t most = 1'000'000;  // of every option
constexpr int64_t deepest = 10'000;  // layers

void check(const ModelOptions& options) {
  const std::pair<const char*, int64_t> all[] = {
      {"classes", options.classes}, {"channels", options.channels}, {"size", options.size}, {"width", options.width}};
  for (const auto& [name, value] : all)
    if (value < 0 || value > most)
      throw ArgumentError(
          fmt::format("create_model: {} is {}, expected 1 to {}, or 0 for the network's own", name, value, most));
}

}  // namespace

Network create_model(const std::string& name, const ModelOptions& options) {
  check(options);
  const auto found = std::ranges::find(entries(), name, [](const Entry& entry) { return entry.info.name; });
  if (found != entries().end()) return found->make(options);
  for (const Family& family : families())
    if (const auto depth = depth_in(name, family.prefix)) {
      if (*depth > deepest)
        throw ArgumentError(fmt::format("create_model: {} has {} layers, expected at most {}", name, *depth, deepest));
      return family.make(*depth, options);
    }
  std::vector<std::string> known;
  for (const Entry& entry : entries()) known.push_back(entry.info.name);
  for (const Family& family : families()) known.push_back(fmt::format("{}N (N = {})", family.prefix, family.depths));
  throw ArgumentError(
      fmt::format("create_model: there is no network '{}', expected one of {}", name, fmt::join(known, ", ")));
}

const std::vector<ModelInfo>& models() {
  static const std::vector<ModelInfo> list = [] {
    std::vector<ModelInfo> infos;
    for (const Entry& entry : entries()) infos.push_back(entry.info);
    return infos;
  }();
  return list;
}

}  // namespace dnn
