// Making tensors of every type and form; conversions run on the host, one element at a time.
#include "tests/harness/tensors.h"

#include <algorithm>
#include <stdexcept>

#include "core/kernels/copy.h"
#include "dnn/autograd.h"
#include "dnn/ops/factory.h"

namespace dnn::test {

namespace {

// Calls visit(T{}) with the C++ type of an element type.
template <class Visit>
auto with_type(DType type, Visit&& visit) {
  switch (type) {
    case DType::float64: return visit(double{});
    case DType::float32: return visit(float{});
    case DType::float16: return visit(float16{});
    case DType::bfloat16: return visit(bfloat16{});
    case DType::int64: return visit(int64_t{});
    case DType::int32: return visit(int32_t{});
    case DType::uint8: return visit(uint8_t{});
    case DType::boolean: return visit(bool{});
  }
  throw std::logic_error("unknown element type");
}

template <class T>
T convert(double x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

Tensor plain_tensor(const Array& values, const TensorOptions& options) {
  return with_type(options.dtype, [&]<class T>(T) {
    std::vector<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>> elements;
    for (double x : values.values) elements.push_back(convert<T>(x));
    return detail::from_host(elements.data(), static_cast<int64_t>(elements.size()), dtype_of<T>, values.shape,
                             {.dtype = dtype_of<T>, .device = options.device});
  });
}

}  // namespace

const char* name_of(Form form) {
  switch (form) {
    case Form::plain: return "plain";
    case Form::transposed: return "transposed";
    case Form::gapped: return "gapped";
    case Form::expanded: return "expanded";
  }
  return "?";
}

Tensor to_tensor(const Array& values, const TensorOptions& options, Form form) {
  NoGrad no_grad;
  const Shape& shape = values.shape;
  Tensor t;
  if (form == Form::transposed) {
    // The elements in the order of the reversed dimensions, seen through reversed strides.
    Shape reversed;
    for (int64_t d = shape.rank() - 1; d >= 0; --d) reversed.push_back(shape[d]);
    Array elements(reversed);
    for_each_index(shape, [&](const Shape& index) {
      Shape mirrored;
      for (int64_t d = shape.rank() - 1; d >= 0; --d) mirrored.push_back(index[d]);
      elements.at(mirrored) = values.at(index);
    });
    const Strides from = contiguous_strides(reversed);
    Strides strides;
    for (int64_t d = shape.rank() - 1; d >= 0; --d) strides.push_back(from[d]);
    t = detail::make_view(plain_tensor(elements, options), shape, strides, 0);
  } else if (form == Form::gapped) {
    // Between the elements lie others, which nobody may read or change.
    Shape wide;
    for (int64_t size : shape) wide.push_back(2 * size + 1);
    Array elements(wide, 77);
    const Strides steps = contiguous_strides(wide);
    Strides strides;
    int64_t offset = 0;
    for (int64_t d = 0; d < shape.rank(); ++d) strides.push_back(2 * steps[d]), offset += steps[d];
    for_each_index(shape, [&](const Shape& index) {
      Shape at;
      for (int64_t i : index) at.push_back(2 * i + 1);
      elements.at(at) = values.at(index);
    });
    t = detail::make_view(plain_tensor(elements, options), shape, strides, offset);
  } else if (form == Form::expanded && shape.rank() > 0 && shape[0] > 0) {
    Shape first = shape;
    first[0] = 1;
    const auto count = static_cast<ptrdiff_t>(first.numel());
    Array elements(first, std::vector<double>(values.values.begin(), values.values.begin() + count));
    Strides strides = contiguous_strides(shape);
    strides[0] = 0;
    t = detail::make_view(plain_tensor(elements, options), shape, strides, 0);
  } else {
    t = plain_tensor(values, options);
  }
  return options.requires_grad ? t.set_requires_grad() : t;
}

Array to_array(const Tensor& t) {
  return with_type(t.dtype(), [&]<class T>(T) {
    const auto elements = t.detach().to_vector<T>();
    Array values(t.shape());
    for (size_t i = 0; i < elements.size(); ++i) values.values[i] = static_cast<double>(elements[i]);
    return values;
  });
}

bool takes_layout(const Shape& shape, DType type, detail::Layout layout, Device device) {
  if (layout == detail::Layout::plain) return true;
  const bool typed = type == DType::float32 || (!device.is_cpu() && is_floating(type) && size_of(type) == 2);
  if (shape.rank() != 4 || !typed || shape.numel() == 0) return false;
  const int64_t block = layout == detail::Layout::blocked8 ? 8 : layout == detail::Layout::blocked16 ? 16 : 1;
  return shape[1] % block == 0;
}

const char* name_of(detail::Layout layout) {
  switch (layout) {
    case detail::Layout::plain: return "plain";
    case detail::Layout::channels_last: return "channels_last";
    case detail::Layout::blocked8: return "blocked8";
    case detail::Layout::blocked16: return "blocked16";
  }
  return "?";
}

Tensor with_layout(const Tensor& t, detail::Layout layout) {
  NoGrad no_grad;
  const Tensor plain = t.detach().clone();
  detail::make_plain(plain);
  if (layout == detail::Layout::plain) return plain;
  const Tensor copy = detail::allocate(t.shape(), t.dtype(), t.device());
  detail::set_layout(copy, layout);
  kernel::relayout[t.device()](detail::raw(plain), detail::Layout::plain, detail::raw(copy), layout, t.shape(),
                               static_cast<int64_t>(size_of(t.dtype())));
  return copy;
}

}  // namespace dnn::test
