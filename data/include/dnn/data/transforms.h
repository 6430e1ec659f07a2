// Every transform of images; see dnn/data/transform.h for what a transform is.
//
//   const TransformedDataset train(cifar, {RandomCrop(32, {.padding = 4}), RandomHorizontalFlip(),
//                                          Normalize(channel_statistics(cifar))});
#pragma once

#include "dnn/data/transforms/color.h"
#include "dnn/data/transforms/combine.h"
#include "dnn/data/transforms/crop.h"
#include "dnn/data/transforms/erase.h"
#include "dnn/data/transforms/geometry.h"
#include "dnn/data/transforms/mix.h"
