// Transforms that change the values of pixels.
#pragma once

#include "dnn/data/dataset.h"
#include "dnn/data/image_dataset.h"

namespace dnn {

/// (pixel - mean) / deviation for each channel of a float32 image [c, h, w]. Throws ArgumentError unless there are as
/// many means as positive deviations, ShapeError unless the image has as many channels.
class Normalize {
 public:
  explicit Normalize(Normalization normalization);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Normalization normalization_;
};

}  // namespace dnn
