// One dimension as several.
#include "dnn/layers/flatten.h"

#include <fmt/format.h>

namespace dnn {

Unflatten::Unflatten(int64_t dim, const Shape& sizes) : dim_(dim), sizes_(sizes) {
  bool good = sizes.rank() > 0;
  for (const int64_t size : sizes) good = good && (size > 0 || size == -1);
  if (!good)
    throw ArgumentError(
        fmt::format("Unflatten: the sizes are {}, expected sizes of at least 1, or one -1", sizes.str()));
}

Tensor Unflatten::forward(Tensor x) {
  const int64_t rank = x.rank(), dim = dim_ < 0 ? dim_ + rank : dim_;
  if (dim < 0 || dim >= rank)
    throw IndexError(fmt::format("Unflatten: dimension {} is out of range, expected {} <= dimension < {} (input {})",
                                 dim_, -rank, rank, x.shape().str()));
  Shape target;
  for (int64_t d = 0; d < rank; ++d) {
    if (d != dim) target.push_back(x.size(d));
    for (int64_t i = 0; d == dim && i < sizes_.rank(); ++i) target.push_back(sizes_[i]);
  }
  return x.reshape(target);
}

std::string Unflatten::describe() const { return fmt::format("{}, {}", dim_, sizes_.str()); }

}  // namespace dnn
