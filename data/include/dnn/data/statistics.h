// Statistics of data sets.
#pragma once

#include "dnn/data/dataset.h"
#include "dnn/data/image_dataset.h"

namespace dnn {

/// Mean and standard deviation of each channel over all pixels of all images [c, h, w] of a data set, for `Normalize`
/// and `ImageDataset::normalize`; computed in float64 with every core, the same with any number of them. The images may
/// differ in size. Throws ArgumentError for an empty data set, ShapeError for samples that are no images or differ in
/// their channels, DTypeError unless they are floating, DeviceError unless they are on the CPU.
Normalization channel_statistics(const SharedDataset& dataset);

}  // namespace dnn
