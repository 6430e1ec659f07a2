// Making tensors.
#include "dnn/ops/factory.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/kernels/runtime.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "core/storage.h"
#include "dnn/autograd.h"
#include "dnn/ops/compare.h"
#include "dnn/ops/reduce.h"
#include "dnn/ops/shape.h"

namespace dnn {

namespace {

Tensor finish(Tensor result, const TensorOptions& options) {
  if (options.requires_grad) result.set_requires_grad();
  return result;
}

using DrawSlot = kernel::Slot<void(const Tensor& out, const detail::Draw& draw)>;

void draw(const char* where, const char* name, const DrawSlot& slot, const Tensor& out) {
  detail::check_floating(where, name, out);
  slot[out.device()](out, detail::next_draw());
}

// Fresh numbers over the elements of `t`, where they lie if that is without gaps.
void overwrite(const char* where, const DrawSlot& slot, Tensor& t) {
  detail::check_in_place(where, t);
  NoGrad no_grad;
  if (!t.is_contiguous()) {
    const Tensor numbers = detail::allocate(t.shape(), t.dtype(), t.device());
    draw(where, "t", slot, numbers);
    t.copy_(numbers);
    return;
  }
  detail::make_plain(t);
  draw(where, "t", slot, t);
  detail::bump_version(t);
}

}  // namespace

Tensor empty(const Shape& shape, const TensorOptions& options) {
  return finish(detail::allocate(shape, options.dtype, options.device), options);
}

Tensor full(const Shape& shape, Scalar value, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  kernel::fill[options.device](result, value);
  return finish(result, options);
}

Tensor zeros(const Shape& shape, const TensorOptions& options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, const TensorOptions& options) { return full(shape, 1, options); }
Tensor empty_like(const Tensor& other) { return empty(other.shape(), other.options()); }
Tensor zeros_like(const Tensor& other) { return zeros(other.shape(), other.options()); }
Tensor ones_like(const Tensor& other) { return ones(other.shape(), other.options()); }

Tensor full_like(const Tensor& other, Scalar value) { return full(other.shape(), value, other.options()); }

Tensor eye(int64_t rows, int64_t columns, const TensorOptions& options) {
  if (rows < 0 || columns < 0)
    throw ArgumentError(fmt::format("eye: the sizes are {} and {}, expected none below 0", rows, columns));
  NoGrad no_grad;
  const TensorOptions index{.dtype = DType::int64, .device = options.device};
  const Tensor row = arange(0, rows, 1, index), column = arange(0, columns, 1, index);
  return finish(eq(row.unsqueeze(1), column).to(options.dtype), options);
}

Tensor eye(int64_t n, const TensorOptions& options) { return eye(n, n, options); }

Tensor linspace(Scalar start, Scalar end, int64_t steps, const TensorOptions& options) {
  if (steps < 0) throw ArgumentError(fmt::format("linspace: steps is {}, expected none below 0", steps));
  const double from = start.to_double(), to = end.to_double();
  const double by = steps > 1 ? (to - from) / static_cast<double>(steps - 1) : 0;
  const Tensor values = detail::allocate({steps}, DType::float64, Device::cpu());
  auto* value = values.data<double>();
  for (int64_t i = 0; i < steps; ++i) {
    const bool first_half = i < (steps + 1) / 2;  // each half is exact at its end
    value[i] = first_half ? from + by * static_cast<double>(i) : to - by * static_cast<double>(steps - 1 - i);
  }
  return finish(values.to(options.dtype).to(options.device), options);
}

Tensor arange(Scalar start, Scalar end, Scalar step, const TensorOptions& options) {
  const double from = start.to_double(), to = end.to_double(), by = step.to_double();
  const double steps = (to - from) / by;
  if (by == 0 || !(steps >= 0 && steps <= 0x1p53))
    throw ArgumentError(fmt::format("arange: steps of {} do not lead from {} to {}", by, from, to));
  const auto count = static_cast<int64_t>(std::ceil(steps));
  const Tensor values = detail::allocate({count}, DType::float64, Device::cpu());
  auto* value = values.data<double>();
  for (int64_t i = 0; i < count; ++i) value[i] = from + static_cast<double>(i) * by;
  return finish(values.to(options.dtype).to(options.device), options);
}

Tensor rand(const Shape& shape, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  draw("rand", "options.dtype", kernel::random_uniform, result);
  return finish(result, options);
}

Tensor randn(const Shape& shape, const TensorOptions& options) {
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  draw("randn", "options.dtype", kernel::random_normal, result);
  return finish(result, options);
}

void rand_(Tensor t) { overwrite("rand_", kernel::random_uniform, t); }
void randn_(Tensor t) { overwrite("randn_", kernel::random_normal, t); }

Tensor rand_like(const Tensor& other) { return rand(other.shape(), other.options()); }
Tensor randn_like(const Tensor& other) { return randn(other.shape(), other.options()); }

Tensor randint(int64_t low, int64_t high, const Shape& shape, const TensorOptions& options) {
  if (low >= high)
    throw ArgumentError(fmt::format("randint: the limits are {} and {}, expected low < high", low, high));
  if (options.dtype == DType::boolean) throw DTypeError("randint: options.dtype is bool, expected a number type");
  Tensor result = detail::allocate(shape, options.dtype, options.device);
  const uint64_t count = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  kernel::random_integers[options.device](result, low, count, detail::next_draw());
  return finish(result, options);
}

// The numbers in the order of random keys.
Tensor randperm(int64_t n, const TensorOptions& options) {
  if (n < 0) throw ArgumentError(fmt::format("randperm: n is {}, expected none below 0", n));
  Generator& generator = default_generator();
  const uint64_t stream = generator.next_stream();
  std::vector<std::pair<uint64_t, int64_t>> keys(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const auto words = philox(generator.seed(), stream, static_cast<uint64_t>(i / 2));
    const size_t first = i % 2 == 0 ? 0 : 2;
    keys[static_cast<size_t>(i)] = {uint64_t{words[first]} << 32 | words[first + 1], i};
  }
  std::sort(keys.begin(), keys.end());
  const Tensor order = detail::allocate({n}, DType::int64, Device::cpu());
  std::transform(keys.begin(), keys.end(), order.data<int64_t>(), [](const auto& key) { return key.second; });
  return finish(order.to(options.dtype).to(options.device), options);
}

Tensor bernoulli(const Tensor& p) {
  detail::check_defined("bernoulli", {{"p", &p}});
  detail::check_floating("bernoulli", "p", p);
  NoGrad no_grad;
  return lt(rand(p.shape(), {.device = p.device()}), p).to(p.dtype());
}

Tensor one_hot(const Tensor& indices, int64_t classes, DType dtype) {
  detail::check_defined("one_hot", {{"indices", &indices}});
  if (is_floating(indices.dtype()) || indices.dtype() == DType::boolean)
    throw DTypeError(
        fmt::format("one_hot: the indices are {}, expected integers (shape {})", indices.dtype(), indices.shape()));
  if (classes < 0 && indices.numel() == 0)
    throw ArgumentError(fmt::format(
        "one_hot: no index tells the number of classes, expected it as an argument (shape {})", indices.shape()));
  NoGrad no_grad;
  const Tensor wide = detail::plain(indices.to(DType::int64));
  const int64_t count = classes < 0 ? std::max<int64_t>(0, 1 + static_cast<int64_t>(max(wide).item())) : classes;
  const Tensor numbers = arange(0, count, 1, {.dtype = DType::int64, .device = indices.device()});
  // Reading the numbers at the indices gives the indices, checked where they are.
  const Tensor checked = detail::allocate(indices.shape(), DType::int64, indices.device());
  if (checked.numel() > 0)
    kernel::gather[indices.device()](numbers, wide,
                                     {.name = "one_hot", .n = count, .m = checked.numel(), .shared = true}, checked);
  return eq(checked.unsqueeze(-1), numbers).to(dtype);
}

Tensor tensor(std::initializer_list<double> values, const Shape& shape, const TensorOptions& options) {
  return detail::from_host(values.begin(), static_cast<int64_t>(values.size()), DType::float64, shape, options);
}

Tensor tensor(std::initializer_list<double> values) { return tensor(values, {static_cast<int64_t>(values.size())}); }

namespace detail {

Tensor from_host(const void* values, int64_t count, DType type, const Shape& shape, const TensorOptions& options) {
  if (shape.numel() != count)
    throw ShapeError(fmt::format("from_values: {} values do not fill {}, expected {}", count, shape, shape.numel()));
  NoGrad no_grad;
  Tensor host = allocate(shape, type, Device::cpu());
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  if (bytes > 0) runtime(Device::cpu()).copy(raw(host), Device::cpu(), values, Device::cpu(), bytes);
  return finish(host.to(options.dtype).to(options.device), options);
}

}  // namespace detail

}  // namespace dnn
