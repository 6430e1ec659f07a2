// Transforms that change the values of pixels. Colours are float32 images [3, h, w] (red, green, blue) or [1, h, w]
// with pixels in [0, 1]: normalise last.
#pragma once

#include <cstdint>

#include "dnn/data/dataset.h"
#include "dnn/data/image_dataset.h"
#include "dnn/data/transforms/crop.h"
#include "dnn/ops/conv.h"

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

/// Options of `ColorJitter`: how far from unchanged each may go.
struct ColorJitterOptions {
  double brightness = 0;  ///< Factor on the pixels within 1 -+ this, not below 0.
  double contrast = 0;    ///< Factor on the distance from the mean gray within 1 -+ this, not below 0.
  double saturation = 0;  ///< Factor on the distance from each pixel's gray within 1 -+ this, not below 0.
  double hue = 0;         ///< Turn of the colours' circle within -+ this, at most 0.5.
};

/// Changes brightness, contrast, saturation and hue at random, in random order, and clamps pixels to [0, 1]. Throws
/// ArgumentError for an option out of range, ShapeError unless the image has 1 or 3 channels.
class ColorJitter {
 public:
  explicit ColorJitter(ColorJitterOptions options);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  ColorJitterOptions options_;
};

/// Gray by luma, 0.2989 red + 0.587 green + 0.114 blue: [3, h, w] or [1, h, w] -> [channels, h, w]. Throws
/// ArgumentError unless channels is 1 or 3, ShapeError unless the image has 1 or 3 channels.
class Grayscale {
 public:
  explicit Grayscale(int64_t channels = 1);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  int64_t channels_;
};

/// Takes the colours away with probability p; the number of channels stays. Throws ArgumentError unless 0 <= p <= 1,
/// ShapeError unless the image has 1 or 3 channels.
class RandomGrayscale {
 public:
  explicit RandomGrayscale(double p = 0.1);
  void operator()(Sample& sample, Generator& generator) const;

 private:
  double p_;
};

/// Blurs by a Gaussian whose deviation is drawn anew for each image, over a window of `kernel` pixels; around the image
/// lies its mirror image. Throws ArgumentError unless the sides of the window are odd and 0 < sigma.low <= sigma.high.
class GaussianBlur {
 public:
  explicit GaussianBlur(Size2 kernel, Bounds sigma = {0.1, 2});
  void operator()(Sample& sample, Generator& generator) const;

 private:
  Size2 kernel_;
  Bounds sigma_;
};

}  // namespace dnn
