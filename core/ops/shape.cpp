// Joining tensors. The views stand in core/views.cpp.
#include "dnn/ops/shape.h"

#include "core/check.h"
#include "core/node.h"

namespace dnn {

Tensor cat(const std::vector<Tensor>& tensors, int64_t dim) {
  if (tensors.empty()) throw ArgumentError("cat: the list is empty, expected at least one tensor");
  for (const Tensor& t : tensors) detail::check_defined("cat", {{"a tensor", &t}});
  const Tensor& first = tensors.front();
  if (first.rank() == 0) throw ShapeError("cat: a tensor is a scalar, expected a dimension to join along");
  const int64_t d = detail::check_dim("cat", dim, first.rank());
  Shape shape = first.shape();
  std::vector<int64_t> starts{0};
  for (const Tensor& t : tensors) {
    detail::check_same_device("cat", {{"first tensor", &first}, {"tensor", &t}});
    detail::check_same_dtype("cat", {{"first tensor", &first}, {"tensor", &t}});
    Shape expected = t.shape();
    if (expected.rank() == shape.rank()) expected[d] = first.shape()[d];
    if (expected != first.shape())
      throw ShapeError(fmt::format("cat: tensor {} has shape {}, expected that of the first, {}, except in dimension {}",
                                   starts.size() - 1, t.shape(), first.shape(), d));
    starts.push_back(starts.back() + t.shape()[d]);
  }
  shape[d] = starts.back();
  Tensor out = detail::allocate(shape, first.dtype(), first.device());
  {
    NoGrad no_grad;
    for (size_t i = 0; i < tensors.size(); ++i) out.slice(d, starts[i], starts[i + 1]).copy_(tensors[i]);
  }
  detail::record("cat", out, std::span<const Tensor>(tensors), [d, starts](detail::Backward& b) {
    for (size_t i = 0; i + 1 < starts.size(); ++i)
      if (b.wants(static_cast<int>(i))) b.set(static_cast<int>(i), b.grad().slice(d, starts[i], starts[i + 1]));
  });
  return out;
}

}  // namespace dnn
