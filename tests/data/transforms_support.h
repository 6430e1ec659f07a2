// What the tests of transforms share: small images, and applying a transform to one.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/data/support.h"

namespace dnn::test {

// The numbers 1, 2, 3, ... as an image.
inline Tensor counted(const Shape& shape) {
  return arange(1, shape.numel() + 1, 1, {.dtype = DType::float32}).reshape(shape);
}

// Uniform numbers in [0, 1), the same for the same shape and seed.
inline Tensor random_image(const Shape& shape, uint64_t seed = 0) {
  Generator generator(seed);
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (float& value : values) value = static_cast<float>(generator.uniform());
  return from_values(values, shape);
}

// What a transform makes of an image, by the random choices of a seed. The image itself must stay as it was.
inline Tensor apply(const Transform& transform, const Tensor& image, uint64_t seed = 0) {
  const std::vector<float> before = image.to_vector<float>();
  Sample sample{image, from_values(std::vector<int64_t>{7}, {})};
  Generator generator(seed);
  transform(sample, generator);
  EXPECT_EQ(image.to_vector<float>(), before) << "the transform changed the image it was given";
  EXPECT_EQ(sample.target.item(), 7);
  EXPECT_TRUE(sample.input.is_contiguous());
  return sample.input;
}

inline std::vector<float> values(const Tensor& tensor) { return tensor.to_vector<float>(); }

// Every transform refuses what is no image, by its name.
inline void expect_only_images(const Transform& transform, const std::string& name) {
  const auto on = [&](Tensor input) {
    Sample sample{std::move(input), {}};
    Generator generator(0);
    transform(sample, generator);
  };
  EXPECT_THAT([&] { on(Tensor()); }, ThrowsMessage<ArgumentError>(name + ": input is undefined, expected an image"));
  EXPECT_THAT(
      [&] {
        on(zeros({8, 8}));
      },
      ThrowsMessage<ShapeError>(name + ": input is [8, 8], expected an image [c, h, w]"));
  EXPECT_THAT(
      [&] {
        on(zeros({1, 3, 8, 8}));
      },
      ThrowsMessage<ShapeError>(name + ": input is [1, 3, 8, 8], expected an image [c, h, w]"));
  EXPECT_THAT(
      [&] {
        on(zeros({3, 0, 8}));
      },
      ThrowsMessage<ShapeError>(name + ": input is [3, 0, 8], expected an image with at least one pixel"));
  EXPECT_THAT(
      [&] {
        on(zeros({3, 8, 8}, {.dtype = DType::uint8}));
      },
      ThrowsMessage<DTypeError>(name + ": input is uint8, expected float32 (input [3, 8, 8])"));
}

}  // namespace dnn::test
