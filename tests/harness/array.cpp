// Plain arrays: indexing, broadcasting and rounding, one element at a time.
#include "tests/harness/array.h"

#include <algorithm>
#include <stdexcept>

#include "dnn/float16.h"

namespace dnn::test {

Array::Array(const Shape& sizes, double fill) : shape(sizes), values(static_cast<size_t>(sizes.numel()), fill) {}

Array::Array(const Shape& sizes, std::vector<double> elements) : shape(sizes), values(std::move(elements)) {
  if (size() != shape.numel())
    throw std::logic_error("array: " + std::to_string(size()) + " values for " + shape.str());
}

int64_t Array::flat(const Shape& index) const {
  if (index.rank() != shape.rank()) throw std::logic_error("array: index " + index.str() + " in " + shape.str());
  int64_t position = 0;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    if (index[d] < 0 || index[d] >= shape[d])
      throw std::logic_error("array: index " + index.str() + " in " + shape.str());
    position = position * shape[d] + index[d];
  }
  return position;
}

void for_each_index(const Shape& shape, const std::function<void(const Shape& index)>& visit) {
  const int64_t count = shape.numel();
  Shape index = shape;
  std::fill(index.begin(), index.end(), 0);
  for (int64_t i = 0; i < count; ++i) {
    visit(index);
    for (int64_t d = shape.rank() - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
}

Array map(const Array& x, const std::function<double(double)>& f) {
  Array y(x.shape);
  std::transform(x.values.begin(), x.values.end(), y.values.begin(), f);
  return y;
}

Array map(const Array& a, const Array& b, const std::function<double(double, double)>& f) {
  // Sizes counted from the last dimension; a missing or single one repeats.
  const int64_t rank = std::max(a.shape.rank(), b.shape.rank());
  const auto size_at = [&](const Shape& shape, int64_t d) {
    const int64_t own = d - (rank - shape.rank());
    return own < 0 ? 1 : shape[own];
  };
  Shape shape;
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t x = size_at(a.shape, d), y = size_at(b.shape, d);
    shape.push_back(x == 1 ? y : x);
  }
  const auto element = [&](const Array& from, const Shape& index) {
    Shape own;
    for (int64_t d = 0; d < from.shape.rank(); ++d)
      own.push_back(from.shape[d] == 1 ? 0 : index[d + rank - from.shape.rank()]);
    return from.at(own);
  };
  Array y(shape);
  for_each_index(shape, [&](const Shape& index) { y.at(index) = f(element(a, index), element(b, index)); });
  return y;
}

double round_to(double x, DType type) {
  switch (type) {
    case DType::float64: return x;
    case DType::float32: return static_cast<float>(x);
    case DType::float16: return static_cast<float>(float16(static_cast<float>(x)));
    case DType::bfloat16: return static_cast<float>(bfloat16(static_cast<float>(x)));
    case DType::int64: return static_cast<double>(static_cast<int64_t>(x));
    case DType::int32: return static_cast<int32_t>(x);
    case DType::uint8: return static_cast<uint8_t>(x);
    case DType::boolean: return x != 0;
  }
  return x;
}

Array round_to(const Array& x, DType type) {
  return map(x, [type](double value) { return round_to(value, type); });
}

double epsilon(DType type) {
  switch (type) {
    case DType::float64: return 0x1p-52;
    case DType::float32: return 0x1p-23;
    case DType::float16: return 0x1p-10;
    case DType::bfloat16: return 0x1p-7;
    default: return 0;
  }
}

}  // namespace dnn::test
