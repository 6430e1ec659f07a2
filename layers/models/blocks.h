// What the networks that are built of repeated blocks have in common.
#pragma once

#include <cstdint>

#include "dnn/layers/sequential.h"

namespace dnn::detail {

// The number itself; throws ArgumentError below 1.
int64_t at_least_one(const char* network, const char* name, int64_t number);

// The weights of all convolutions inside keep the variance of the gradient through ReLUs, and biases are zero: what
// torchvision starts VGG and ResNet with.
void initialize_convolutions(Module& net);

// A stage of residual networks: n blocks of `width`, of which the first takes `in` channels and has the stride.
template <class Block, class... Options>
Sequential stage(int64_t n, int64_t in, int64_t width, int64_t stride, Options... options) {
  Sequential blocks;
  blocks.push_back(Block(in, width, stride, options...));
  while (blocks.size() < n) blocks.push_back(Block(Block::expansion * width, width, 1, options...));
  return blocks;
}

}  // namespace dnn::detail
