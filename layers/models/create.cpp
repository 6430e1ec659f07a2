// Networks by their names: a table of those with a name of their own, and one of families that come in any depth.
#include "dnn/models/create.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "dnn/models/lenet.h"
#include "dnn/models/mlp.h"
#include "dnn/models/resnet.h"

namespace dnn {

namespace {

using Network = std::unique_ptr<Layer>;

struct Entry {
  ModelInfo info;
  std::function<Network(const ModelOptions&)> make;
};

// Networks whose name ends in their depth.
struct Family {
  std::string prefix, depths;  // "resnet", "6 n + 2: 8, 14, 20, ..."
  std::function<Network(int64_t depth, const ModelOptions&)> make;
};

template <class Net>
Network own(Net&& net) {
  return std::make_unique<std::remove_cvref_t<Net>>(std::forward<Net>(net));
}

// The options of a network, with what is asked for in place of its own numbers.
template <class Options>
Options adapt(const ModelOptions& asked, Options options = {}) {
  if (asked.classes != 0) options.classes = asked.classes;
  if (asked.channels != 0) options.channels = asked.channels;
  if constexpr (requires { options.size; })
    if (asked.size != 0) options.size = asked.size;
  if constexpr (requires { options.width; })
    if (asked.width != 0) options.width = asked.width;
  return options;
}

Network make_mlp(const ModelOptions& asked) {
  const int64_t channels = asked.channels != 0 ? asked.channels : 1, size = asked.size != 0 ? asked.size : 28;
  MlpOptions options{.inputs = channels * size * size};
  if (asked.classes != 0) options.classes = asked.classes;
  if (asked.width != 0) options.hidden = {asked.width};
  return own(mlp(options));
}

Network make_resnet_cifar(int64_t depth, const ModelOptions& asked) {
  return own(resnet_cifar(depth, adapt<ResNetCifarOptions>(asked)));
}

const std::vector<Entry>& entries() {
  static const std::string mlp_paper =
      "Rumelhart, Hinton and Williams, \"Learning representations by back-propagating errors\", Nature 1986";
  static const std::string lenet = "LeCun et al., \"Gradient-based learning applied to document recognition\", 1998";
  static const std::string resnet = "He et al., \"Deep residual learning for image recognition\", CVPR 2016";
  static const auto resnet_of = [](int64_t depth) {
    return [depth](const ModelOptions& asked) { return make_resnet_cifar(depth, asked); };
  };
  static const std::vector<Entry> list{
      {{"mlp", 10, {1, 28, 28}, mlp_paper}, make_mlp},
      {{"lenet5", 10, {1, 28, 28}, lenet}, [](const auto& asked) { return own(lenet5(adapt<LeNet5Options>(asked))); }},
      {{"resnet20", 10, {3, 32, 32}, resnet}, resnet_of(20)},
      {{"resnet32", 10, {3, 32, 32}, resnet}, resnet_of(32)},
      {{"resnet44", 10, {3, 32, 32}, resnet}, resnet_of(44)},
      {{"resnet56", 10, {3, 32, 32}, resnet}, resnet_of(56)},
      {{"resnet110", 10, {3, 32, 32}, resnet}, resnet_of(110)},
  };
  return list;
}

const std::vector<Family>& families() {
  static const std::vector<Family> list{{"resnet", "6 n + 2: 8, 14, 20, ...", make_resnet_cifar}};
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

void check(const ModelOptions& options) {
  const std::pair<const char*, int64_t> all[] = {
      {"classes", options.classes}, {"channels", options.channels}, {"size", options.size}, {"width", options.width}};
  for (const auto& [name, value] : all)
    if (value < 0)
      throw ArgumentError(
          fmt::format("create_model: {} is {}, expected at least 1, or 0 for the network's own", name, value));
}

}  // namespace

Network create_model(const std::string& name, const ModelOptions& options) {
  check(options);
  const auto found = std::ranges::find(entries(), name, [](const Entry& entry) { return entry.info.name; });
  if (found != entries().end()) return found->make(options);
  for (const Family& family : families())
    if (const auto depth = depth_in(name, family.prefix)) return family.make(*depth, options);
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
