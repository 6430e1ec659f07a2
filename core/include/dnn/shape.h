// The sizes of a tensor: a short list of int64 without allocation.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace dnn {

/// Sizes (or strides) of up to 8 dimensions, outermost first: `Shape{64, 3, 32, 32}`.
class Shape {
 public:
  /// Most dimensions that a tensor can have.
  static constexpr int max_rank = 8;

  /// The shape of a scalar, `[]`.
  constexpr Shape() = default;
  /// Throws ShapeError for more than 8 sizes.
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  /// Throws ShapeError for more than 8 sizes.
  explicit Shape(std::span<const int64_t> sizes);

  /// Number of dimensions.
  constexpr int rank() const { return rank_; }
  constexpr bool empty() const { return rank_ == 0; }
  /// The size of a dimension; negative ones count from the end. Throws IndexError when out of range.
  int64_t at(int64_t dim) const;
  /// Unchecked access.
  constexpr int64_t operator[](int64_t dim) const { return sizes_[static_cast<size_t>(dim)]; }
  constexpr int64_t& operator[](int64_t dim) { return sizes_[static_cast<size_t>(dim)]; }
  /// Product of all sizes, 1 for a scalar; throws ShapeError when it does not fit 64 bits or a size is negative.
  int64_t numel() const;

  /// Appends a dimension; throws ShapeError beyond 8.
  void push_back(int64_t size);
  /// The shape with one dimension taken out.
  Shape without(int64_t dim) const;
  /// The shape with one dimension put in before position `dim`.
  Shape with(int64_t dim, int64_t size) const;

  constexpr const int64_t* begin() const { return sizes_.data(); }
  constexpr const int64_t* end() const { return sizes_.data() + rank_; }
  constexpr int64_t* begin() { return sizes_.data(); }
  constexpr int64_t* end() { return sizes_.data() + rank_; }

  /// "[64, 3, 32, 32]".
  std::string str() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

/// Distances between neighbours in each dimension, in elements.
using Strides = Shape;

/// The strides of a tensor whose elements lie in row-major order without gaps.
Strides contiguous_strides(const Shape& shape);

/// The shape that two shapes broadcast to, as in NumPy; throws ShapeError naming `where` when they do not fit.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* where = "broadcast");

}  // namespace dnn
