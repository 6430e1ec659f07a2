// The slot that augments images, and what its kernels do alike.
#pragma once

#include <algorithm>
#include <array>

#include "core/slot.h"
#include "dnn/random.h"
#include "dnn/tensor.h"

namespace dnn::kernel {

// The place of a window in an image, which it may leave, and whether it is mirrored.
struct ImageWindow {
  int64_t top, left;
  bool flipped;
};

struct AugmentProblem {
  static constexpr int64_t most_channels = 64;

  int64_t images = 0;  // that there are
  int64_t channels = 0;
  int64_t height = 0, width = 0;          // of them
  int64_t rows = 0, columns = 0;          // of the windows
  int64_t pad_height = 0, pad_width = 0;  // how far they may reach out
  bool reflect = false;                   // what lies there: the mirrored image or zeros
  bool always_flip = false;
  uint32_t flip_below = 0;  // a random word below it mirrors
  std::array<float, most_channels> mean{}, deviation{};

  // Of the image with that index. A word times a range, shifted, is even to a part in 2^32 of the range.
  DNN_HD constexpr ImageWindow window(uint64_t seed, uint64_t stream, int64_t index) const {
    const auto words = philox(seed, stream, static_cast<uint64_t>(index));
    const auto below = [](uint32_t word, int64_t bound) {
      return static_cast<int64_t>(uint64_t{word} * static_cast<uint64_t>(bound) >> 32);
    };
    return {below(words[0], height + 2 * pad_height - rows + 1) - pad_height,
            below(words[1], width + 2 * pad_width - columns + 1) - pad_width, always_flip || words[2] < flip_below};
  }
  // The row or column of an image that one of a window shows; -1 for none.
  DNN_HD constexpr int64_t place(int64_t at, int64_t size) const {
    if (at >= 0 && at < size) return at;
    if (!reflect) return -1;
    return at < 0 ? -at : 2 * (size - 1) - at;
  }
  // A pixel as a number.
  template <class C>
  DNN_HD constexpr C number(uint8_t byte, int64_t channel) const {
    const auto c = static_cast<size_t>(channel);
    return (static_cast<C>(byte) / C(255) - static_cast<C>(mean[c])) / static_cast<C>(deviation[c]);
  }
};

// No more images are read than there are indices.
struct AugmentWork {
  detail::Work operator()(const AugmentProblem& p, const Tensor& images, const Tensor&, const detail::Draw&,
                          const Tensor& out) const {
    return {.bytes = std::min<int64_t>(0, out.shape()[0] * p.channels * p.height * p.width - images.numel())};
  }
};

// out [m, channels, rows, columns], floating, plain or channels_last = windows of the images uint8 [images, channels,
// height, width] at the indices int64 [m], or of all when they are undefined. Contiguous. An index outside throws
// IndexError (on a GPU at the next wait).
inline constinit Slot<void(const AugmentProblem& problem, const Tensor& images, const Tensor& indices,
                           const detail::Draw& draw, const Tensor& out)>
    augment{"augment"};

template <class Visit>
void visit_augment_slots(Visit&& visit) {
  visit(augment);
}

}  // namespace dnn::kernel
