// Lists of modules of any classes.
#include <gtest/gtest.h>

#include "tests/harness/errors.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

// A net with an output of each head.
class Heads : public Layer {
 public:
  Linear body{4, 3};
  ModuleList heads;
  DNN_MODULE(body, heads)
  Heads() { heads.append(Linear(3, 2)).append(Sequential(Linear(3, 5), ReLU())); }
  Tensor forward(Tensor x) override {
    const Tensor y = body(x);
    return cat({heads.get<Linear>(0)(y), heads.get<Layer>(1)(y)}, 1);
  }
};

TEST(ModuleList, IsPartOfItsModule) {
  Heads net;
  EXPECT_EQ(net(numbers({2, 4})).shape(), Shape({2, 7}));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : net.named_parameters()) names.push_back(name);
  EXPECT_EQ(names, std::vector<std::string>({"body.weight", "body.bias", "heads.0.weight", "heads.0.bias",
                                             "heads.1.0.weight", "heads.1.0.bias"}));
  net.eval();
  EXPECT_FALSE(net.heads[1].training());
  Heads copy = net.clone();
  expect_same(copy(numbers({2, 4})), net(numbers({2, 4})), "clone");
  disturb(copy);
  EXPECT_NE(values(copy.heads.get<Linear>(0).weight), values(net.heads.get<Linear>(0).weight));
}

TEST(ModuleList, ListsWhatItHolds) {
  ModuleList list(Linear(2, 3), ReLU());
  EXPECT_EQ(list.size(), 2);
  EXPECT_TRUE(ModuleList().empty());
  EXPECT_EQ(&list[-1], &list[1]);
  std::vector<std::string> types;
  for (Module& module : list) types.push_back(module.type_name());
  for (const Module& module : std::as_const(list)) types.push_back(module.type_name());
  EXPECT_EQ(types, std::vector<std::string>({"Linear", "ReLU", "Linear", "ReLU"}));
  EXPECT_EQ(list.str(), "ModuleList(\n  (0): Linear(2, 3)\n  (1): ReLU()\n)");
  const ModuleList moved = std::move(list);
  EXPECT_EQ(moved.size(), 2);
}

TEST(ModuleList, RefusesWhatDoesNotFit) {
  ModuleList list(Linear(2, 3), ReLU());
  EXPECT_ERROR(list[2], IndexError, "ModuleList: the index is 2, expected -2 <= index < 2");
  EXPECT_ERROR(list.get<Linear>(1), ArgumentError,
               "ModuleList: module 1 is a ReLU, expected the class that is asked for");
  EXPECT_ERROR(list.append(std::unique_ptr<Module>()), ArgumentError,
               "ModuleList: the module is a null pointer, expected a module");
}

}  // namespace
}  // namespace dnn::test
