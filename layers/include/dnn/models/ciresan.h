// The convolutional networks with max pooling that won competitions from a GPU, before AlexNet (Ciresan, Meier, Masci,
// Gambardella and Schmidhuber, "Flexible, high performance convolutional neural networks for image classification",
// IJCAI 2011).
//
// That paper tells how many maps its networks have, and that their kernels vary; the networks here are those that the
// authors write down in full a year later (Ciresan, Meier and Schmidhuber, "Multi-column deep neural networks for image
// classification", CVPR 2012), one column of them. Simplified: a map looks at all maps below it, where the paper of
// 2011 connects by chance. All units are scaled tanh, pooling windows that the border cuts count, and weights start
// uniform in +-0.05; in a network k times as narrow in +-0.05 sqrt(k), since its units have fewer inputs to add up.
#pragma once

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `ciresan2011`.
struct Ciresan2011Options {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 1;  ///< Of the input.
  int64_t size = 28;     ///< Side of the images, in pixels; at least 12.
  int64_t width = 20;    ///< Channels of the first convolution, an even number; all others in proportion.
};

/// For MNIST, 20C4-MP2-40C5-MP3-150N-10N: [n, channels, size, size] -> [n, classes]. (The authors' images are 29x29,
/// MNIST's with a border: the sizes inside are the same.) Throws ArgumentError for a size or a width that is not
/// possible.
Sequential ciresan2011(const Ciresan2011Options& options = {});

/// Options of `ciresan2011_cifar`.
struct Ciresan2011CifarOptions {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 3;  ///< Of the input.
  int64_t size = 32;     ///< Side of the images, in pixels; at least 21.
  int64_t width = 300;   ///< Channels of every convolution, a multiple of 3; all others in proportion.
};

/// For CIFAR-10, 300C3-MP2-300C2-MP2-300C3-MP2-300C2-MP2-300N-100N-10N: [n, channels, size, size] -> [n, classes].
/// Throws like `ciresan2011`.
Sequential ciresan2011_cifar(const Ciresan2011CifarOptions& options = {});

}  // namespace dnn
