// A plain array of doubles and a few loops over it: what references are written with, so that they share no code with
// the library under test.
#pragma once

#include <functional>
#include <vector>

#include "dnn/dtype.h"
#include "dnn/shape.h"

namespace dnn::test {

struct Array {
  Shape shape;
  std::vector<double> values;  // row-major

  Array() = default;
  explicit Array(const Shape& sizes, double fill = 0);
  Array(const Shape& sizes, std::vector<double> elements);

  int64_t size() const { return static_cast<int64_t>(values.size()); }
  double& operator[](int64_t i) { return values[static_cast<size_t>(i)]; }
  double operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
  // The element at an index of as many numbers as there are dimensions.
  double& at(const Shape& index) { return (*this)[flat(index)]; }
  double at(const Shape& index) const { return (*this)[flat(index)]; }
  template <class... Index>
  double& operator()(Index... index) {
    return at({static_cast<int64_t>(index)...});
  }
  template <class... Index>
  double operator()(Index... index) const {
    return at({static_cast<int64_t>(index)...});
  }

 private:
  int64_t flat(const Shape& index) const;
};

// Visits every index of a shape in row-major order.
void for_each_index(const Shape& shape, const std::function<void(const Shape& index)>& visit);

// f of every element.
Array map(const Array& x, const std::function<double(double)>& f);
// f of two arrays broadcast against each other.
Array map(const Array& a, const Array& b, const std::function<double(double, double)>& f);

// The element type's nearest value: what a tensor of that type holds after being given `x`.
double round_to(double x, DType type);
Array round_to(const Array& x, DType type);

// Distance from 1 to the next number of a floating type; 0 for others.
double epsilon(DType type);

}  // namespace dnn::test
