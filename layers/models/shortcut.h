// What a residual block adds its layers to, and the convolutions of which the blocks are made.
#pragma once

#include "dnn/layers/conv.h"
#include "dnn/models/resnet.h"

namespace dnn::detail {

inline ConvLayerOptions conv1x1(int64_t stride = 1) { return {.kernel = 1, .stride = stride, .bias = false}; }
inline ConvLayerOptions conv3x3(int64_t stride = 1) {
  return {.kernel = 3, .stride = stride, .padding = 1, .bias = false};
}

// The layers of a shortcut: [n, in, h, w] -> [n, out, h / stride, w / stride]; none where the shape stays. Throws
// ArgumentError for Shortcut::none, and for an identity to fewer channels.
Sequential shortcut_of(int64_t in, int64_t out, int64_t stride, Shortcut shortcut);

}  // namespace dnn::detail
