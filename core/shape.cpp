// Shape arithmetic.
#include "dnn/shape.h"

#include <algorithm>

#include "core/check.h"

namespace dnn {

Shape::Shape(std::span<const int64_t> sizes) {
  for (int64_t size : sizes) push_back(size);
}

int64_t Shape::at(int64_t dim) const {
  if (rank_ == 0)
    throw IndexError(
        fmt::format("shape: dimension {} is out of range, expected none: a scalar has no dimensions", dim));
  return sizes_[static_cast<size_t>(detail::check_dim("shape", dim, rank_))];
}

int64_t Shape::numel() const {
  bool none = false;
  for (int64_t size : *this) {
    if (size < 0)
      throw ShapeError(fmt::format("shape: size {} is negative, expected 0 or more (shape {})", size, str()));
    none = none || size == 0;
  }
  if (none) return 0;  // however large the other sizes are
  int64_t product = 1;
  for (int64_t size : *this)
    if (__builtin_mul_overflow(product, size, &product))
      throw ShapeError(fmt::format("shape: the number of elements exceeds 64 bits (shape {})", str()));
  return product;
}

void Shape::push_back(int64_t size) {
  if (rank_ == max_rank)
    throw ShapeError(fmt::format("shape: more than {} dimensions, expected at most {} (shape so far {}, next {})",
                                 max_rank, max_rank, str(), size));
  sizes_[static_cast<size_t>(rank_++)] = size;
}

Shape Shape::without(int64_t dim) const {
  const int64_t out = detail::check_dim("shape", dim, rank_);
  Shape result;
  for (int64_t d = 0; d < rank_; ++d)
    if (d != out) result.push_back((*this)[d]);
  return result;
}

Shape Shape::with(int64_t dim, int64_t size) const {
  const int64_t in = detail::check_dim("shape", dim, rank_ + 1);
  Shape result;
  for (int64_t d = 0; d < rank_; ++d) {
    if (d == in) result.push_back(size);
    result.push_back((*this)[d]);
  }
  if (in == rank_) result.push_back(size);
  return result;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

bool operator==(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Strides contiguous_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t stride = 1;
  for (int64_t d = shape.rank() - 1; d >= 0; --d) {
    strides[d] = stride;
    // Beyond 64 bits only beside a size of 0, where no stride matters.
    static_cast<void>(__builtin_mul_overflow(stride, std::max<int64_t>(shape[d], 1), &stride));
  }
  return strides;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* where) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape result = longer;
  const int64_t shift = longer.rank() - shorter.rank();
  for (int64_t d = 0; d < shorter.rank(); ++d) {
    const int64_t x = longer[d + shift], y = shorter[d];
    if (x != y && x != 1 && y != 1)
      throw ShapeError(
          fmt::format("{}: shapes {} and {} do not broadcast, sizes must be equal or 1 counted from the last dimension",
                      where, a, b));
    result[d + shift] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace dnn
