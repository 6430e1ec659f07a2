// Tensors from arrays and back, in every form in which an operation may meet them: type, device, layout, strides.
#pragma once

#include "core/storage.h"
#include "dnn/tensor.h"
#include "tests/harness/array.h"

namespace dnn::test {

// How the elements of an input lie in memory.
enum class Form {
  plain,       // row-major without gaps
  transposed,  // column-major
  gapped,      // every second element of a larger tensor, from the middle of it
  expanded,    // the first dimension repeats one entry without copying; fits arrays of that content only
};
const char* name_of(Form form);

// A tensor with the array's elements, rounded to the type.
Tensor to_tensor(const Array& values, const TensorOptions& options = {.dtype = DType::float64},
                 Form form = Form::plain);

// The elements of a tensor of any type.
Array to_array(const Tensor& t);

// Whether a tensor of that shape and type may have a layout on the device.
bool takes_layout(const Shape& shape, DType type, detail::Layout layout, Device device);
const char* name_of(detail::Layout layout);

// A copy of the tensor's elements in a layout; outside autograd.
Tensor with_layout(const Tensor& t, detail::Layout layout);

}  // namespace dnn::test
