// The widths of a network that is made narrower or wider as a whole.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <numeric>

#include "dnn/error.h"

namespace dnn::detail {

// Scales the widths of a network by width / own, its first one: `Widths wide("lenet5", options.width, 6, {16, 120});
// Conv2d(6, wide(16), ...)`. The others are listed so that the error can say the rule before anything is built. Throws
// ArgumentError unless all come out as whole numbers of at least 1, or for a width above a million.
class Widths {
 public:
  Widths(const char* network, int64_t width, int64_t own, std::initializer_list<int64_t> others)
      : width_(width), own_(own) {
    int64_t common = own;
    for (const int64_t other : others) common = std::gcd(common, other);
    const int64_t step = own / common;
    if (width > most)
      throw ArgumentError(fmt::format("{}: width is {}, expected at most {}", network, width, int64_t{most}));
    if (width < 1 || width % step != 0)
      throw ArgumentError(step == 1 ? fmt::format("{}: width is {}, expected at least 1", network, width)
                                    : fmt::format("{}: width is {}, expected a multiple of {}", network, width, step));
  }
  int64_t operator()(int64_t own) const { return own * width_ / own_; }

 private:
  static constexpr int64_t most = 1'000'000;
  int64_t width_, own_;
};

}  // namespace dnn::detail
