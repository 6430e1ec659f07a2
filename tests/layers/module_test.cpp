// Module: names, lists, state dicts, conversions, clones, hooks, and errors that name their layer.
#include <gtest/gtest.h>

#include <type_traits>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

class Block : public Layer {
 public:
  Conv2d conv{2, 2, {.kernel = 3, .padding = 1, .bias = false}};
  BatchNorm2d norm{2};
  Sequential shortcut;
  DNN_MODULE(conv, norm, shortcut)

  Tensor forward(Tensor x) override { return norm(conv(x), {.add = shortcut(x), .relu = true}); }
};

class Net : public Layer {
 public:
  Parameter scale{ones({1})};
  std::vector<Block> blocks;
  std::optional<Linear> head;
  Buffer seen{zeros({})};
  Parameter absent;
  DNN_MODULE(blocks, scale, head, seen, absent)

  explicit Net(bool with_head = true) {
    for (int i = 0; i < 2; ++i) blocks.emplace_back();
    if (with_head) head.emplace(2 * 4 * 4, 3);
  }
  Tensor forward(Tensor x) override {
    for (Block& block : blocks) x = block(x);
    x = x.flatten() * scale;
    return head ? (*head)(x) : x;
  }
};

// Two inputs: a module that is no layer.
class Pair : public Module {
 public:
  Linear left{2, 3}, right{4, 3};
  DNN_MODULE(left, right)
  Tensor operator()(const Tensor& a, const Tensor& b) { return left(a, {.add = right(b)}); }
};

class Unnamed : public Layer {
 public:
  Linear inner{2, 2};
  Tensor forward(Tensor x) override { return inner(x); }
};

class Derived : public Net {};

// Two layers with one weight.
class Tied : public Layer {
 public:
  Linear encode{3, 2, {.bias = false}};
  Parameter decode{encode.weight};
  DNN_MODULE(encode, decode)
  Tensor forward(Tensor x) override { return matmul(encode(x), decode); }
};

template <class Dict>
std::vector<std::string> names(const Dict& list) {
  std::vector<std::string> result;
  for (const auto& entry : list) result.push_back(entry.name);
  return result;
}

using Names = std::vector<std::string>;

static_assert(std::is_nothrow_move_constructible_v<Net> && std::is_nothrow_move_assignable_v<Net>);
static_assert(!std::is_copy_assignable_v<Net> && !std::is_copy_assignable_v<Linear>);
static_assert(std::is_same_v<decltype(std::declval<const Net&>().clone()), Net>);

TEST(Module, NamesItsMembers) {
  Net net;
  const Names block{"conv.weight", "norm.weight", "norm.bias"};
  EXPECT_EQ(names(net.named_parameters()),
            Names({"scale", "blocks.0.conv.weight", "blocks.0.norm.weight", "blocks.0.norm.bias",
                   "blocks.1.conv.weight", "blocks.1.norm.weight", "blocks.1.norm.bias", "head.weight", "head.bias"}));
  EXPECT_EQ(names(net.named_buffers()), Names({"seen", "blocks.0.norm.running_mean", "blocks.0.norm.running_var",
                                               "blocks.0.norm.num_batches_tracked", "blocks.1.norm.running_mean",
                                               "blocks.1.norm.running_var", "blocks.1.norm.num_batches_tracked"}));
  EXPECT_EQ(names(net.children()), Names({"blocks.0", "blocks.1", "head"}));
  EXPECT_EQ(names(net.modules()), Names({"", "blocks.0", "blocks.0.conv", "blocks.0.norm", "blocks.0.shortcut",
                                         "blocks.1", "blocks.1.conv", "blocks.1.norm", "blocks.1.shortcut", "head"}));
  EXPECT_EQ(names(net.blocks[0].state_dict()), Names({"conv.weight", "norm.weight", "norm.bias", "norm.running_mean",
                                                      "norm.running_var", "norm.num_batches_tracked"}));
  EXPECT_EQ(net.parameters().size(), 9u);
  EXPECT_EQ(net.buffers().size(), 7u);
  EXPECT_EQ(net.parameter_count(), 1 + 2 * (36 + 4) + 99);
  EXPECT_TRUE(names(Net(false).named_parameters()).back() == "blocks.1.norm.bias") << "an empty optional has no names";
}

TEST(Module, ChildrenWithoutDnnModuleAreUnknown) {
  Unnamed net;
  EXPECT_TRUE(net.parameters().empty());
  EXPECT_TRUE(net.state_dict().empty());
  EXPECT_ERROR(net.clone_unique(), ArgumentError,
               "clone: Unnamed has no DNN_MODULE of its own, expected one that names its children (empty for none)");
  EXPECT_ERROR(Derived().clone(), ArgumentError,
               "clone: Derived has no DNN_MODULE of its own, expected one that names its children (empty for none)");
}

TEST(Module, SharedTensorsAreListedOnce) {
  Tied net;
  EXPECT_TRUE(net.decode.is_same(net.encode.weight));
  EXPECT_EQ(net.parameters().size(), 1u);
  EXPECT_EQ(net.parameter_count(), 6);
  EXPECT_EQ(names(net.state_dict()), Names({"decode", "encode.weight"}))
      << "a state dict has every name, as in PyTorch";
  Tied copy = net.clone();
  EXPECT_TRUE(copy.decode.is_same(copy.encode.weight)) << "ties stay in a clone";
  EXPECT_FALSE(copy.decode.is_same(net.decode));
  net.to(DType::float64);
  EXPECT_TRUE(net.decode.is_same(net.encode.weight));
  EXPECT_EQ(net.encode.weight.dtype(), DType::float64);
}

TEST(Module, SwitchesModesRecursively) {
  Net net;
  EXPECT_TRUE(net.training());
  net.eval();
  for (const auto& [name, module] : net.modules()) EXPECT_FALSE(module->training()) << name;
  net.train();
  for (const auto& [name, module] : net.modules()) EXPECT_TRUE(module->training()) << name;
}

TEST(Module, MovesAndNeverCopies) {
  Net net;
  const std::vector<Tensor> before = net.parameters();
  Net moved = std::move(net);
  const std::vector<Tensor> after = moved.parameters();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(after[i].is_same(before[i]));
  EXPECT_ERROR(Net(moved), ArgumentError, "module: Net is copied, expected std::move(module) or module.clone()");
  EXPECT_ERROR(Linear(*moved.head), ArgumentError,
               "module: Linear is copied, expected std::move(module) or module.clone()");
  EXPECT_ERROR(Sequential(static_cast<const Sequential&>(moved.blocks[0].shortcut)), ArgumentError,
               "module: Sequential is copied, expected std::move(module) or module.clone()");
}

TEST(Module, ClonesAreDeep) {
  Net net;
  net.head->bias.set_requires_grad(false);
  net.blocks[1].eval();
  int calls = 0;
  net.register_forward_hook([&](const Layer&, const Tensor&, const Tensor&) { ++calls; });
  Net copy = net.clone();
  const StateDict mine = net.state_dict(), theirs = copy.state_dict();
  EXPECT_EQ(names(theirs), names(mine));
  for (const auto& [name, tensor] : mine) expect_same(theirs.at(name), tensor, name);
  EXPECT_FALSE(copy.head->bias.requires_grad()) << "frozen parameters stay frozen";
  EXPECT_TRUE(copy.head->weight.requires_grad());
  EXPECT_FALSE(copy.blocks[1].training()) << "modes are kept";
  copy(numbers({2, 2, 4, 4}));
  EXPECT_EQ(calls, 0) << "hooks are not copied";
  const StateDict kept = mine.clone();
  disturb(copy);
  for (const auto& [name, tensor] : net.state_dict()) expect_same(tensor, kept.at(name), name);
  const std::unique_ptr<Module> unique = static_cast<const Module&>(net).clone_unique();
  EXPECT_EQ(unique->type_name(), "Net");
}

TEST(Module, ModulesWithSeveralInputs) {
  Pair pair;
  const Tensor a = numbers({5, 2}), b = numbers({5, 4});
  expect_near(pair(a, b), pair.left(a) + pair.right(b), "sum");
  Pair copy = pair.clone();
  expect_same(copy(a, b), pair(a, b), "clone");
  EXPECT_EQ(pair.parameter_count(), 9 + 15);
}

TEST(Module, ConvertsInPlace) {
  Net net;
  const std::vector<Tensor> handles = net.parameters();
  net(numbers({2, 2, 4, 4})).sum().backward();
  const int hook = handles[0].register_hook([](const Tensor&) {});
  net.to(DType::float64);
  for (const Tensor& handle : handles) {
    EXPECT_EQ(handle.dtype(), DType::float64);
    EXPECT_FALSE(handle.has_grad()) << "gradients are dropped";
    EXPECT_TRUE(handle.requires_grad());
  }
  handles[0].remove_hook(hook);
  EXPECT_EQ(net.seen.dtype(), DType::float64);
  EXPECT_EQ(net.blocks[0].norm.num_batches_tracked.dtype(), DType::int64) << "integers stay integers";
  net(numbers({2, 2, 4, 4}).to(DType::float64)).sum().backward();
  for (const Tensor& handle : handles) EXPECT_TRUE(handle.has_grad());
  net.to(Device::cpu());
  EXPECT_ERROR(net.to(DType::int64), DTypeError,
               "to: int64 is asked for, expected a floating type for the weights of Net");
}

TEST(Module, FreezesAndForgetsGradients) {
  Net net;
  net.blocks[0].requires_grad_(false);
  EXPECT_EQ(net.parameter_count(true), net.parameter_count() - 40);
  net(numbers({2, 2, 4, 4})).sum().backward();
  EXPECT_FALSE(net.blocks[0].conv.weight.has_grad());
  EXPECT_TRUE(net.blocks[1].conv.weight.has_grad());
  net.zero_grad();
  for (const Tensor& parameter : net.parameters()) EXPECT_FALSE(parameter.has_grad());
}

// ---- state dicts ---------------------------------------------------------------------------------------------------

TEST(Module, StateDictSharesMemory) {
  Linear layer(2, 2);
  const StateDict state = layer.state_dict();
  {
    NoGrad no_grad;
    layer.weight.fill_(5);
  }
  EXPECT_EQ(values(state.at("weight")), std::vector<double>(4, 5));
}

TEST(Module, LoadsInPlaceAndConverts) {
  Linear layer(2, 2);
  const Tensor handle = layer.weight;
  const uint64_t version = handle.version();
  layer.load_state_dict(
      {{"weight", tensor({1, 2, 3, 4}, {2, 2}, {.dtype = DType::float64})}, {"bias", tensor({5, 6})}});
  EXPECT_EQ(handle.dtype(), DType::float32);
  EXPECT_EQ(values(handle), std::vector<double>({1, 2, 3, 4}));
  EXPECT_GT(handle.version(), version) << "who computed from the old values can tell";
}

TEST(Module, LoadingTellsWhatDoesNotFit) {
  Sequential net(Conv2d(1, 2, {.kernel = 3}), ReLU(), Linear(8, 3));
  const StateDict before = net.state_dict().clone();
  const StateDict state{{"0.weight", zeros({2, 1, 3, 3})}, {"2.weight", zeros({3, 9})}, {"fc.bias", zeros({3})}};
  EXPECT_ERROR(net.load_state_dict(state), ArgumentError,
               "load_state_dict: 2 missing, 1 unexpected, 1 mis-shaped, expected the 4 names of Sequential\n"
               "  missing     0.bias                            [2]\n"
               "  missing     2.bias                            [3]\n"
               "  unexpected  fc.bias                           [3]\n"
               "  mis-shaped  2.weight                          [3, 9], expected [3, 8]");
  EXPECT_ERROR(net.load_state_dict(state, {.strict = false}), ArgumentError,
               "load_state_dict: 0 missing, 0 unexpected, 1 mis-shaped, expected the 4 names of Sequential\n"
               "  mis-shaped  2.weight                          [3, 9], expected [3, 8]");
  for (const auto& [name, tensor] : net.state_dict()) expect_same(tensor, before.at(name), name);

  const LoadReport report =
      net.load_state_dict({{"0.weight", zeros({2, 1, 3, 3})}, {"fc.bias", zeros({3})}}, {.strict = false});
  EXPECT_EQ(names(report.missing), Names({"0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(names(report.unexpected), Names({"fc.bias"}));
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(report.str(),
            "1 of 4 tensors of Sequential match: 3 missing, 1 unexpected, 0 mis-shaped\n"
            "  missing     0.bias                            [2]\n"
            "  missing     2.weight                          [3, 8]\n"
            "  missing     2.bias                            [3]\n"
            "  unexpected  fc.bias                           [3]");
  EXPECT_TRUE(net.load_state_dict(net.state_dict().clone()).complete());
  EXPECT_EQ(values(net.state_dict().at("0.weight")), std::vector<double>(18, 0));
  expect_same(net.state_dict().at("2.weight"), before.at("2.weight"), "not in the state");
}

TEST(Module, LoadingShortensLongTables) {
  Sequential net;
  for (int i = 0; i < 13; ++i) net.push_back(Linear(1, 1));
  try {
    net.load_state_dict({});
    FAIL() << "nothing was thrown";
  } catch (const ArgumentError& error) {
    const std::string text = error.what();
    EXPECT_EQ(std::ranges::count(text, '\n'), 21);
    EXPECT_TRUE(text.ends_with("\n  missing     9.bias                            [1]\n  missing     ... and 6 more"))
        << text;
  }
}

TEST(StateDict, KeepsOrderAndFinds) {
  StateDict state{{"b", ones({1})}, {"a", zeros({2})}};
  EXPECT_EQ(names(state), Names({"b", "a"}));
  EXPECT_EQ(state.at("a").numel(), 2);
  EXPECT_TRUE(state.contains("b"));
  EXPECT_EQ(state.find("c"), nullptr);
  EXPECT_ERROR(state.at("c"), ArgumentError, "state_dict: there is no 'c'");
  EXPECT_ERROR(state.insert("a", ones({1})), ArgumentError, "state_dict: the name 'a' comes twice, expected each once");
  StateDict both;
  both.insert("model.", state);
  both.insert("other", ones({1}));
  EXPECT_EQ(names(both), Names({"model.b", "model.a", "other"}));
  EXPECT_EQ(names(both.with_prefix("model.")), Names({"b", "a"}));
}

// ---- text ----------------------------------------------------------------------------------------------------------

TEST(Module, PrintsItsTree) {
  EXPECT_EQ(Net().str(),
            "Net(\n"
            "  (blocks.0): Block(\n"
            "    (conv): Conv2d(2, 2, kernel=3, padding=1, bias=false)\n"
            "    (norm): BatchNorm2d(2)\n"
            "    (shortcut): Sequential()\n"
            "  )\n"
            "  (blocks.1): Block(\n"
            "    (conv): Conv2d(2, 2, kernel=3, padding=1, bias=false)\n"
            "    (norm): BatchNorm2d(2)\n"
            "    (shortcut): Sequential()\n"
            "  )\n"
            "  (head): Linear(32, 3)\n"
            ")");
}

// ---- hooks and errors ----------------------------------------------------------------------------------------------

TEST(Layer, HooksSeeInputAndOutput) {
  Linear layer(2, 3);
  const Tensor x = numbers({4, 2});
  std::vector<std::string> calls;
  const int first = layer.register_forward_hook([&](const Layer& l, const Tensor& input, const Tensor& output) {
    calls.push_back("first " + l.type_name());
    EXPECT_TRUE(input.is_same(x));
    EXPECT_EQ(output.shape(), Shape({4, 3}));
  });
  layer.register_forward_hook([&](const Layer&, const Tensor&, const Tensor&) { calls.push_back("second"); });
  EXPECT_TRUE(layer.has_forward_hooks());
  layer(x);
  layer.remove_forward_hook(first);
  layer(x, {.relu = true});
  EXPECT_EQ(calls, Names({"first Linear", "second", "second"}));
}

TEST(Layer, ErrorsNameTheLayer) {
  Net net;
  EXPECT_ERROR(net(numbers({2, 4, 4, 4})), ShapeError,
               "blocks.0.conv (Conv2d): conv2d: input has 4 channels, weight expects 2 (input [2, 4, 4, 4], weight "
               "[2, 2, 3, 3], groups 1)");
  EXPECT_ERROR(
      net.blocks[0](numbers({2, 4, 4, 4})), ShapeError,
      "conv (Conv2d): conv2d: input has 4 channels, weight expects 2 (input [2, 4, 4, 4], weight [2, 2, 3, 3], "
      "groups 1)");
  EXPECT_ERROR(net.blocks[0].conv(numbers({2, 4, 4, 4})), ShapeError,
               "conv2d: input has 4 channels, weight expects 2 (input [2, 4, 4, 4], weight [2, 2, 3, 3], groups 1)");
  net.blocks[1].shortcut.push_back(BatchNorm2d(2));
  net.blocks[1].shortcut.push_back(ReLU());
  net.blocks[1].shortcut.push_back(Flatten());
  EXPECT_ERROR(net(numbers({2, 2, 4, 4})), ShapeError,
               "blocks.1.norm (BatchNorm2d): batch_norm: add is float32 [2, 32], expected the input's float32 "
               "[2, 2, 4, 4]");
}

class Picky : public Layer {
 public:
  class Refusal : public Error {
   public:
    using Error::Error;
    int code = 42;
  };
  DNN_MODULE()
  Tensor forward(Tensor) override { throw Refusal("picky: no"); }
};

// Tries one layer and falls back on another.
class Fallback : public Layer {
 public:
  Picky first;
  Linear second{2, 2};
  DNN_MODULE(first, second)
  Tensor forward(Tensor x) override {
    try {
      return first(x);
    } catch (const Error&) {
      return second(x);
    }
  }
};

TEST(Layer, ErrorsKeepTheirClass) {
  Sequential net{ReLU(), Sequential{Tanh(), Picky()}};
  try {
    net(numbers({2}));
    FAIL() << "nothing was thrown";
  } catch (const Picky::Refusal& error) {
    EXPECT_STREQ(error.what(), "1.1 (Picky): picky: no");
    EXPECT_EQ(error.code, 42);
  }
}

TEST(Layer, ErrorsThatWereHandledLeaveNoTrace) {
  Sequential net(Fallback{});
  EXPECT_EQ(net(numbers({3, 2})).shape(), Shape({3, 2}));
  EXPECT_ERROR(net(numbers({3, 5})), ShapeError,
               "0.second (Linear): linear: input has 5 features, weight expects 2 (input [3, 5], weight [2, 2])");
}

}  // namespace
}  // namespace dnn::test
