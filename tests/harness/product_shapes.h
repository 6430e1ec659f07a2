// Matrix products of networks: the shapes that translations are tested with.
#pragma once

#include <cstdint>

namespace dnn::test {

// A fully connected layer (or gates): [m, k] by [n, k] transposed.
struct ProductShape {
  const char* name;
  int64_t m, n, k;
};

inline constexpr ProductShape product_shapes[] = {
    {"lenet5 fc1", 64, 120, 400},
    {"lenet5 fc2", 64, 84, 120},
    {"lenet5 fc3", 64, 10, 84},
    {"mnist mlp 1", 128, 128, 784},
    {"mnist mlp 2", 128, 10, 128},
    {"wide mlp 1", 100, 500, 784},
    {"wide mlp 2", 100, 500, 500},
    {"wide mlp 3", 100, 2000, 500},
    {"wide mlp 4", 100, 10, 2000},
    {"resnet_cifar fc, 20 layers", 128, 10, 64},
    {"resnet_cifar fc, last batch", 80, 10, 64},
    {"resnet_cifar fc, 100 classes", 128, 100, 64},
    {"lstm input", 35 * 20, 4 * 200, 128},
    {"lstm hidden", 20, 4 * 200, 200},
    {"lstm hidden, one sequence", 1, 4 * 51, 51},
    {"gru hidden", 32, 3 * 128, 128},
    {"alexnet fc6", 128, 4096, 9216},
    {"alexnet fc7", 128, 4096, 4096},
    {"alexnet fc8", 128, 1000, 4096},
    {"vgg16 fc1", 64, 4096, 25088},
    {"resnet50 fc", 256, 1000, 2048},
    {"resnet50 fc, one image", 1, 1000, 2048},
    {"one feature", 33, 1, 1},
};

}  // namespace dnn::test
