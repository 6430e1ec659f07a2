// Cutting, padding, turning and repeating tensors: compositions of views, copies and index_select.
#include <algorithm>

#include "core/check.h"
#include "core/kernels/copy.h"
#include "core/node.h"
#include "core/ops/fusion.h"
#include "dnn/ops/binary.h"
#include "dnn/ops/compare.h"
#include "dnn/ops/factory.h"
#include "dnn/ops/index.h"
#include "dnn/ops/shape.h"

namespace dnn {

using detail::Backward;

namespace {

int64_t dim_to_cut(const char* where, const Tensor& x, int64_t dim) {
  detail::check_defined(where, {{"input", &x}});
  if (x.rank() == 0)
    throw ShapeError(fmt::format("{}: the input is a scalar, expected at least one dimension (input [])", where));
  return detail::check_dim(where, dim, x.rank());
}

std::vector<Tensor> cut(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(x.slice(dim, start, start + size));
    start += size;
  }
  return parts;
}

std::vector<int64_t> equal_sizes(int64_t total, int64_t size) {
  std::vector<int64_t> sizes;
  for (int64_t start = 0; start < total; start += size) sizes.push_back(std::min(size, total - start));
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

// Where each element of a padded dimension comes from.
std::vector<int64_t> padded_positions(int64_t n, int64_t before, int64_t after, PadMode mode) {
  std::vector<int64_t> from;
  for (int64_t i = -before; i < n + after; ++i) {
    const int64_t mirrored = i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
    from.push_back(mode == PadMode::reflect ? mirrored : std::clamp<int64_t>(i, 0, n - 1));
  }
  return from;
}

// The view of x whose dimensions run backwards.
Tensor backwards(const Tensor& x, const Shape& dims) {
  Strides steps = x.strides();
  int64_t offset = detail::Access::impl(x).offset;
  for (int64_t d : dims) {
    if (x.numel() > 0) offset += (x.shape()[d] - 1) * steps[d];
    steps[d] = -steps[d];
  }
  return detail::make_view(x, x.shape(), steps, offset);
}

Tensor flipped(const Tensor& x, const Shape& dims) {
  Tensor out;
  {
    NoGrad no_grad;
    const Tensor source = detail::plain(x);
    out = detail::allocate(x.shape(), x.dtype(), x.device());
    if (out.numel() > 0) kernel::copy[x.device()](backwards(source, dims), out);
  }
  detail::record("flip", out, {x}, [dims](Backward& b) { b.set(0, flipped(b.grad(), dims)); });
  return out;
}

// x where columns - rows lies on one side of the diagonal, zeros elsewhere.
Tensor triangle(const char* where, const Tensor& x, int64_t diagonal, bool lower) {
  detail::check_defined(where, {{"input", &x}});
  if (x.rank() < 2)
    throw ShapeError(
        fmt::format("{}: input has {} dimensions, expected 2 or more (input {})", where, x.rank(), x.shape()));
  const TensorOptions whole{.dtype = DType::int64, .device = x.device()};
  const Tensor rows = arange(0, x.size(-2), 1, whole).unsqueeze(1), columns = arange(0, x.size(-1), 1, whole);
  const Tensor distance = columns - rows;
  return masked_fill(x, lower ? gt(distance, diagonal) : lt(distance, diagonal), 0);
}

// x between borders of `value`.
Tensor pad_constant(const Tensor& x, const Shape& before, const Shape& after, Scalar value) {
  Tensor inner = x;
  Shape shape = x.shape();
  for (int64_t d = 0; d < x.rank(); ++d) {
    inner = inner.slice(d, std::max<int64_t>(0, -before[d]), x.shape()[d] + std::min<int64_t>(0, after[d]));
    shape[d] += before[d] + after[d];
  }
  const auto middle = [before, sizes = inner.shape()](Tensor whole) {
    for (int64_t d = 0; d < sizes.rank(); ++d) {
      const int64_t start = std::max<int64_t>(0, before[d]);
      whole = whole.slice(d, start, start + sizes[d]);
    }
    return whole;
  };
  Tensor out;
  {
    NoGrad no_grad;
    out = full(shape, value, x.options());
    middle(out).copy_(inner);
  }
  detail::record("pad", out, {inner}, [middle](Backward& b) { b.set(0, middle(b.grad())); });
  return out;
}

}  // namespace

Tensor stack(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) throw ArgumentError("stack: the list is empty, expected at least one tensor");
  std::vector<Tensor> slices;
  for (const Tensor& t : tensors) {
    detail::check_defined("stack", {{"a tensor", &t}});
    if (t.shape() != tensors.front().shape())
      throw ShapeError(fmt::format("stack: tensor {} has shape {}, expected that of the first, {}", slices.size(),
                                   t.shape(), tensors.front().shape()));
    slices.push_back(t.unsqueeze(detail::check_dim("stack", dim, t.rank() + 1)));
  }
  return cat(slices, detail::check_dim("stack", dim, tensors.front().rank() + 1));
}

std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
  const int64_t d = dim_to_cut("split", x, dim);
  if (size < 1) throw ArgumentError(fmt::format("split: size is {}, expected at least 1 (input {})", size, x.shape()));
  return cut(x, equal_sizes(x.shape()[d], size), d);
}

std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
  const int64_t d = dim_to_cut("split", x, dim);
  int64_t total = 0;
  bool good = true;
  for (int64_t size : sizes) good = good && size >= 0 && !__builtin_add_overflow(total, size, &total);
  if (!good || total != x.shape()[d])
    throw ArgumentError(
        fmt::format("split: the sizes are [{}], expected 0 or more with the sum {} (input {}, dimension {})",
                    fmt::join(sizes, ", "), x.shape()[d], x.shape(), d));
  return cut(x, sizes, d);
}

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  const int64_t d = dim_to_cut("chunk", x, dim);
  if (chunks < 1)
    throw ArgumentError(fmt::format("chunk: chunks is {}, expected at least 1 (input {})", chunks, x.shape()));
  const int64_t n = x.shape()[d];
  if (n == 0) return cut(x, std::vector<int64_t>(static_cast<size_t>(chunks), 0), d);
  return cut(x, equal_sizes(n, (n - 1) / chunks + 1), d);
}

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  const int64_t d = dim_to_cut("unbind", x, dim);
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x.shape()[d]; ++i) parts.push_back(x.select(d, i));
  return parts;
}

Tensor pad(const Tensor& x, const std::vector<int64_t>& sizes, const PadOptions& options) {
  detail::check_defined("pad", {{"input", &x}});
  const auto text = [&] { return fmt::format("[{}]", fmt::join(sizes, ", ")); };
  if (sizes.size() % 2 != 0 || static_cast<int64_t>(sizes.size()) > 2 * x.rank())
    throw ArgumentError(fmt::format("pad: {} sizes, expected two for each of up to {} dimensions (sizes {}, input {})",
                                    sizes.size(), x.rank(), text(), x.shape()));
  Shape before = x.shape(), after = x.shape();
  for (int64_t d = 0; d < x.rank(); ++d) {
    const auto i = static_cast<size_t>(2 * (x.rank() - 1 - d));
    const int64_t n = x.shape()[d];
    before[d] = i < sizes.size() ? sizes[i] : 0;
    after[d] = i < sizes.size() ? sizes[i + 1] : 0;
    const int64_t low = std::min(before[d], after[d]), high = std::max(before[d], after[d]);
    int64_t result = 0;
    const bool overflows =
        __builtin_add_overflow(before[d], after[d], &result) || __builtin_add_overflow(result, n, &result);
    if (overflows || result < 0 || low < -n)
      throw ShapeError(
          fmt::format("pad: dimension {} of {} would be cut or filled beyond its limits, expected a size of 0 "
                      "or more (sizes {}, input {})",
                      d, n, text(), x.shape()));
    if (options.mode == PadMode::constant || (low == 0 && high == 0)) continue;
    if (low < 0 || n == 0 || (options.mode == PadMode::reflect && high >= n))
      throw ArgumentError(fmt::format(
          "pad: dimension {} of {} cannot be continued by {} and {} elements, expected 0 {} "
          "(sizes {}, input {})",
          d, n, before[d], after[d], options.mode == PadMode::reflect ? "to its size less 1" : "or more, and elements",
          text(), x.shape()));
  }
  if (options.mode == PadMode::constant) return pad_constant(x, before, after, options.value);
  Tensor result = x;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (before[d] > 0 || after[d] > 0)
      result = index_select(result, d,
                            from_values(padded_positions(x.shape()[d], before[d], after[d], options.mode),
                                        {x.shape()[d] + before[d] + after[d]}, x.device()));
  return result.is_same(x) ? x.clone() : result;
}

Tensor movedim(const Tensor& x, int64_t source, int64_t destination) {
  detail::check_defined("movedim", {{"input", &x}});
  const int64_t from = detail::check_dim("movedim", source, x.rank());
  const int64_t to = detail::check_dim("movedim", destination, x.rank());
  if (x.rank() == 0) return x;
  Shape order;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != from) order.push_back(d);
  return x.permute(order.with(to, from));
}

Tensor flip(const Tensor& x, const Shape& dims) {
  detail::check_defined("flip", {{"input", &x}});
  Shape resolved;
  for (int64_t dim : dims) {
    const int64_t d = detail::check_dim("flip", dim, x.rank());
    if (std::find(resolved.begin(), resolved.end(), d) != resolved.end())
      throw IndexError(
          fmt::format("flip: dimension {} is named twice, expected each once (dims {}, shape {})", d, dims, x.shape()));
    if (x.rank() > 0) resolved.push_back(d);
  }
  return flipped(x, resolved);
}

Tensor roll(const Tensor& x, int64_t shift, int64_t dim) {
  const int64_t d = dim_to_cut("roll", x, dim);
  const int64_t n = x.shape()[d];
  if (n == 0) return x.clone();
  const int64_t start = ((-shift) % n + n) % n;
  return cat({x.slice(d, start, n), x.slice(d, 0, start)}, d);
}

Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, true); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, false); }

Tensor repeat(const Tensor& x, const Shape& counts) {
  detail::check_defined("repeat", {{"input", &x}});
  const bool positive = std::all_of(counts.begin(), counts.end(), [](int64_t count) { return count >= 0; });
  if (counts.rank() < x.rank() || !positive)
    throw ShapeError(
        fmt::format("repeat: the counts are {}, expected 0 or more for each of at least {} dimensions (input {})",
                    counts, x.rank(), x.shape()));
  Tensor result = x;
  while (result.rank() < counts.rank()) result = result.unsqueeze(0);
  // One dimension after another: [outer, n, inner] is read as [outer, 1, n * inner], whose middle repeats.
  for (int64_t d = counts.rank() - 1; d >= 0; --d) {
    if (counts[d] == 1) continue;
    Shape shape = result.shape();
    int64_t outer = 1, rest = 1;
    for (int64_t i = 0; i < shape.rank(); ++i) (i < d ? outer : rest) *= shape[i];
    shape[d] *= counts[d];
    result = result.reshape({outer, 1, rest}).expand({outer, counts[d], rest}).reshape(shape);
  }
  return result.is_same(x) ? x.clone() : result;
}

Tensor tile(const Tensor& x, const Shape& counts) {
  detail::check_defined("tile", {{"input", &x}});
  Shape all = counts;
  while (all.rank() < x.rank()) all = all.with(0, 1);
  return repeat(x, all);
}

}  // namespace dnn
