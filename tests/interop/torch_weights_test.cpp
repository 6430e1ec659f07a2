// Weights from PyTorch: a state dict that it saved loads by name, goes back byte for byte, and what does not fit is
// told. torch_weights.py makes the files.
#include <gmock/gmock.h>

#include <fstream>

#include "dnn/dnn.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/errors.h"

namespace dnn {
namespace {

using test::contents;
using test::TemporaryFolder;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

const std::string torch_file = DNN_INTEROP_FILES "/torch_weights.safetensors";

ResNetCifar net_of(int64_t classes) {
  return resnet_cifar(8, {.classes = classes, .width = 2, .shortcut = Shortcut::projection});
}

std::vector<double> values(const Tensor& t) { return t.to(DType::float64).to_vector<double>(); }

void expect_equal(const StateDict& a, const StateDict& b) {
  for (const auto& [name, tensor] : a) EXPECT_EQ(values(tensor), values(b.at(name))) << name;
}

// The state of the file under other names.
StateDict renamed(const std::string& prefix) {
  StateDict state;
  state.insert(prefix, load_safetensors(torch_file).tensors);
  return state;
}

StateDict without(const StateDict& state, const std::string& ending) {
  StateDict rest;
  for (const auto& [name, tensor] : state)
    if (!name.ends_with(ending)) rest.insert(name, tensor);
  return rest;
}

TEST(TorchWeights, ComputeWhatTheyDidThere) {
  ResNetCifar net = net_of(3);
  EXPECT_TRUE(load_weights(torch_file, net).complete());
  EXPECT_EQ(net.bn1.num_batches_tracked.item(), 1);
  const Tensor image = arange(0, 192).to(DType::float32).reshape({1, 3, 8, 8}) / 192.0;
  const std::vector<double> expected{-0.07889285683631897, -0.0020828493870794773, 0.24364496767520905};
  const std::vector<double> scores = values(predict(net, image));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(scores[i], expected[i], 1e-6);
}

TEST(TorchWeights, GoBackByteForByte) {
  const TemporaryFolder folder;
  ResNetCifar net = net_of(3);
  load_weights(torch_file, net);
  save_safetensors(folder / "x", net.state_dict());
  EXPECT_EQ(contents(folder / "x"), contents(torch_file));
}

TEST(TorchWeights, LoadInHalfPrecision) {
  const TemporaryFolder folder;
  ResNetCifar half = net_of(3), net = net_of(3);
  load_weights(torch_file, half);
  half.to(DType::float16);
  save_safetensors(folder / "x", half.state_dict());
  load_weights(folder / "x", net);
  EXPECT_EQ(net.fc.weight.dtype(), DType::float32);
  expect_equal(net.state_dict(), half.state_dict());
}

TEST(TorchWeights, LoadAllButTheLastLayerForOtherClasses) {
  ResNetCifar net = net_of(5);
  const StateDict before = net.state_dict().clone();
  const std::string table =
      "\n  mis-shaped  fc.weight                         [3, 8], expected [5, 8]"
      "\n  mis-shaped  fc.bias                           [3], expected [5]";
  EXPECT_ERROR(load_weights(torch_file, net), ArgumentError,
               "load_weights: " + torch_file +
                   ": load_state_dict: 0 missing, 0 unexpected, 2 mis-shaped, expected the 56 names of ResNetCifar" +
                   table);
  expect_equal(net.state_dict(), before);

  const LoadReport report = load_weights(torch_file, net, {.skip_misshaped = true});
  EXPECT_EQ(report.str(), "54 of 56 tensors of ResNetCifar match: 0 missing, 0 unexpected, 2 mis-shaped" + table);
  const StateDict file = load_safetensors(torch_file).tensors;
  expect_equal(without(without(net.state_dict(), "fc.weight"), "fc.bias"), file);
  EXPECT_EQ(values(net.fc.weight), values(before.at("fc.weight")));
}

TEST(TorchWeights, LoadFromBehindAPrefix) {
  const TemporaryFolder folder;
  ResNetCifar net = net_of(3);
  save_safetensors(folder / "x", renamed("module."));
  EXPECT_TRUE(load_weights(folder / "x", net).complete());
  expect_equal(net.state_dict(), load_safetensors(torch_file).tensors);

  StateDict more = renamed("model.");  // as PyTorch Lightning saves it, with something beside it
  more.insert("loss.weight", zeros({3}));
  EXPECT_THAT([&] { net.load_state_dict(more); },
              ThrowsMessage<ArgumentError>(AllOf(
                  StartsWith("load_state_dict: 47 missing, 57 unexpected, 0 mis-shaped"),
                  EndsWith("\n  the names begin with 'model.' in the state: with_prefix(\"model.\") takes it off"))));
  EXPECT_TRUE(net.load_state_dict(more.with_prefix("model.")).complete());
  save_safetensors(folder / "x", more);
  EXPECT_THROW(load_weights(folder / "x", net), ArgumentError) << "a name would be left out";

  // A part of the net behind the prefix is a part of it all the same.
  const StateDict headless = without(without(renamed("module."), "fc.weight"), "fc.bias");
  save_safetensors(folder / "x", headless);
  ResNetCifar part = net_of(3);
  const LoadReport report = load_weights(folder / "x", part, {.strict = false});
  EXPECT_EQ(report.missing.size(), 2u);
  EXPECT_TRUE(report.unexpected.empty());
  EXPECT_EQ(values(part.conv1.weight), values(net.conv1.weight));

  save_safetensors(folder / "x", {{"weights.bias", zeros({3})}});
  EXPECT_THAT([&] { load_weights(folder / "x", net); },
              ThrowsMessage<ArgumentError>(testing::Not(HasSubstr("begin with"))));
}

TEST(TorchWeights, OldFilesCountNoBatches) {
  const StateDict state = without(load_safetensors(torch_file).tensors, ".num_batches_tracked");
  ResNetCifar net = net_of(3);
  EXPECT_TRUE(net.compare_state_dict(without(state, "bn1.num_batches_tracked")).complete());
  EXPECT_TRUE(net.load_state_dict(without(state, "bn1.num_batches_tracked")).complete());
  EXPECT_EQ(net.bn1.num_batches_tracked.item(), 0);
  EXPECT_ERROR(net.load_state_dict(without(state, "fc.bias")), ArgumentError,
               "load_state_dict: 1 missing, 0 unexpected, 0 mis-shaped, expected the 56 names of ResNetCifar\n"
               "  missing     fc.bias                           [3]");
}

TEST(TorchWeights, BoundTheNetworkThatIsMadeForThem) {
  const NoInit no_init(8 * 3 + 3 + 16 * 2 * 9);
  const Linear linear(8, 3);
  const Conv2d conv(2, 16, {.kernel = 3, .bias = false});
  {
    const NoInit another;
    const Linear large(100, 100);
  }
  EXPECT_ERROR(Linear(1, 1), ArgumentError,
               "NoInit: a weight has 1 numbers, expected at most 0, as many as are left (shape [1, 1])");
  const NoInit few(50);
  EXPECT_ERROR(LSTM(4, 4), ArgumentError,
               "NoInit: a weight has 64 numbers, expected at most 50, as many as are left (shape [16, 4])");
  EXPECT_ERROR(Embedding(10, 10), ArgumentError,
               "NoInit: a weight has 100 numbers, expected at most 50, as many as are left (shape [10, 10])");
}

TEST(TorchWeights, AreInOurCheckpointsToo) {
  const TemporaryFolder folder;
  ResNetCifar net = net_of(3), other = net_of(3);
  load_weights(torch_file, net);
  save_checkpoint(folder / "x", net, SGD(net.parameters(), {.lr = 0.1}), {.metadata = {{"data", "cifar10"}}});
  const Weights weights = load_weights(folder / "x");
  EXPECT_EQ(weights.metadata, (std::map<std::string, std::string>{{"data", "cifar10"}}));
  EXPECT_TRUE(load_weights(weights, other).complete());
  expect_equal(other.state_dict(), net.state_dict());

  save_safetensors(folder / "y", net.state_dict(), {{"format", "pt"}});
  EXPECT_EQ(load_weights(folder / "y").metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  save_safetensors(folder / "z", {}, {{"dnn.format", "dnn checkpoint 9"}});
  EXPECT_ERROR(load_weights(folder / "z"), FormatError,
               "load_checkpoint: " + (folder / "z") + ": format is 'dnn checkpoint 9', expected 'dnn checkpoint 1'");
}

TEST(TorchWeights, OfTorchSaveAreRefusedWithTheWayToConvertThem) {
  const TemporaryFolder folder;
  const auto message = [](const std::string& path, const std::string& what) {
    return "load_safetensors: " + path + ": it is " + what +
           ", as torch.save writes it, expected safetensors; to convert the file of a state dict: python3 -c \"import "
           "torch, safetensors.torch as s; s.save_file({k: v.contiguous().clone() for k, v in torch.load('FILE.pt', "
           "map_location='cpu').items()}, 'FILE.safetensors')\"";
  };
  const std::string zip = DNN_INTEROP_FILES "/torch_weights.pt", pickle = folder / "old.pth";
  EXPECT_ERROR(load_safetensors(zip), FormatError, message(zip, "a zip archive"));
  std::ofstream(pickle) << "\x80\x02\x8a\nl\xfc\x9c"
                           "F\xf9 jA";
  EXPECT_ERROR(load_safetensors(pickle), FormatError, message(pickle, "a pickle"));
}

}  // namespace
}  // namespace dnn
