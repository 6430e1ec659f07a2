// Networks by their names, as programs want them:
//
//   const std::unique_ptr<Layer> net = create_model("resnet20", {.classes = 100});
//
// A network that is added to the library gets a line in models/create.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dnn/layer.h"

namespace dnn {

/// Options of `create_model`; what is 0 is the network's own number.
struct ModelOptions {
  int64_t classes = 0;   ///< Outputs.
  int64_t channels = 0;  ///< Of the input.
  int64_t size = 0;      ///< Side of the images, in pixels: shapes the first fully connected layer of the networks that
                         ///< have one, is refused by those that know one size alone, and ignored by those that take
                         ///< any.
  int64_t width = 0;     ///< Channels of the first convolution, or neurons of the first hidden layer; everything else
                         ///< in proportion.
};

/// A network by its name: "lenet5", "resnet20" (6 n + 2 but 50, 152: for small images), ... Throws ArgumentError for an
/// unknown name, which lists the known ones, for an option that the network does not have, and what the network throws.
std::unique_ptr<Layer> create_model(const std::string& name, const ModelOptions& options = {});

/// What `models` tells of a network.
struct ModelInfo {
  std::string name;       ///< As `create_model` takes it.
  int64_t classes = 0;    ///< Outputs, as the network has them by itself.
  Shape input;            ///< One sample: [channels, height, width].
  std::string reference;  ///< The paper.
};

/// Every network, those of several depths with the depths of the paper.
const std::vector<ModelInfo>& models();

}  // namespace dnn
