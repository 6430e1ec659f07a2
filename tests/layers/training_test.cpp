// A small training run with every kind of layer and both sources of chance: weights and dropout.
#include <gtest/gtest.h>

#include "dnn/optim.h"
#include "tests/layers/check_layer.h"

namespace dnn::test {
namespace {

struct Run {
  StateDict weights;
  std::vector<double> losses;
};

// Learns to tell three random patterns apart, drowned in noise.
template <class O, class Options>
Run train(uint64_t seed, const Options& options) {
  manual_seed(seed);
  Sequential net(Conv2d(1, 8, {.kernel = 3, .padding = 1}), BatchNorm2d(8), ReLU(), MaxPool2d({.kernel = 2}),  //
                 Conv2d(8, 8, {.kernel = 3}), ReLU(), Flatten(),                                               //
                 Linear(32, 16), ReLU(), Dropout(0.2), Linear(16, 3));
  const Tensor patterns = randn({3, 1, 8, 8});
  O optimizer(net.parameters(), options);
  Run run;
  for (int step = 0; step < 40; ++step) {
    std::vector<int64_t> labels(12);
    std::vector<Tensor> images;
    for (size_t i = 0; i < labels.size(); ++i) {
      labels[i] = static_cast<int64_t>(default_generator().below(3));
      images.push_back((patterns[labels[i]] + randn({1, 8, 8})).unsqueeze(0));
    }
    optimizer.zero_grad();
    const Tensor loss = cross_entropy(net(cat(images)), from_values(labels, {12}));
    loss.backward();
    optimizer.step();
    run.losses.push_back(loss.item());
  }
  run.weights = net.state_dict();
  return run;
}

template <class O, class Options>
void expect_learns_the_same_twice(const Options& options) {
  const Run first = train<O>(1, options), second = train<O>(1, options), other = train<O>(2, options);
  EXPECT_EQ(first.losses, second.losses);
  for (const auto& [name, tensor] : first.weights) expect_same(second.weights.at(name), tensor, name);
  EXPECT_NE(first.losses, other.losses);
  double late = 0;
  for (size_t i = 30; i < 40; ++i) late += first.losses[i] / 10;
  EXPECT_LT(late, 0.5 * first.losses[0]);
}

TEST(Training, OneSeedGivesOneResultWithSgd) {
  expect_learns_the_same_twice<SGD>(SgdOptions{.lr = 0.05, .momentum = 0.9});
}

TEST(Training, OneSeedGivesOneResultWithAdam) { expect_learns_the_same_twice<Adam>(AdamOptions{.lr = 0.01}); }

}  // namespace
}  // namespace dnn::test
