// The 23 distinct convolutions of ResNet-50.
#pragma once

#include <array>
#include <cstdint>

namespace dnn::cuda::test {

// Square filters of `taps` over square images of `size`, padded by half a filter.
struct ResNet50Conv {
  int64_t taps, stride, in, out, size;

  int64_t output_size() const { return (size + 2 * (taps / 2) - taps) / stride + 1; }
};

inline constexpr std::array<ResNet50Conv, 23> resnet50_convs{{
    {7, 2, 3, 64, 224},     {1, 1, 64, 64, 56},   {3, 1, 64, 64, 56},    {1, 1, 64, 256, 56},   {1, 1, 256, 64, 56},
    {1, 1, 256, 128, 56},   {3, 2, 128, 128, 56}, {1, 1, 128, 512, 28},  {1, 2, 256, 512, 56},  {1, 1, 512, 128, 28},
    {3, 1, 128, 128, 28},   {1, 1, 512, 256, 28}, {3, 2, 256, 256, 28},  {1, 1, 256, 1024, 14}, {1, 2, 512, 1024, 28},
    {1, 1, 1024, 256, 14},  {3, 1, 256, 256, 14}, {1, 1, 1024, 512, 14}, {3, 2, 512, 512, 14},  {1, 1, 512, 2048, 7},
    {1, 2, 1024, 2048, 14}, {1, 1, 2048, 512, 7}, {3, 1, 512, 512, 7},
}};

}  // namespace dnn::cuda::test
