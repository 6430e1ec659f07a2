// What Python writes in brackets: views one after another, then the one tensor of indices.
#include "core/check.h"
#include "dnn/ops/index.h"

namespace dnn {

namespace {

// How many dimensions an index takes the place of.
int64_t taken_by(const Index& index) {
  if (const auto* const tensor = std::get_if<Tensor>(&index.value())) {
    detail::check_defined("index", {{"a tensor", tensor}});
    return tensor->dtype() == DType::boolean ? tensor->rank() : 1;
  }
  return std::holds_alternative<int64_t>(index.value()) || std::holds_alternative<Slice>(index.value()) ? 1 : 0;
}

// The entries of x at the indices, or where the mask is set, in place of dimension `dim` (and those behind it).
Tensor choose(const Tensor& x, int64_t dim, const Tensor& chosen) {
  Shape result, merged;
  for (int64_t d = 0; d < dim; ++d) result.push_back(x.shape()[d]), merged.push_back(x.shape()[d]);
  if (chosen.dtype() != DType::boolean) {
    for (int64_t size : chosen.shape()) result.push_back(size);
    for (int64_t d = dim + 1; d < x.rank(); ++d) result.push_back(x.shape()[d]);
    return index_select(x, dim, chosen.reshape({-1})).reshape(result);
  }
  int64_t count = 1;
  bool fits = chosen.rank() > 0;
  for (int64_t d = 0; fits && d < chosen.rank(); ++d) {
    fits = x.shape()[dim + d] == chosen.shape()[d];
    count *= chosen.shape()[d];
  }
  if (!fits)
    throw IndexError(fmt::format("index: the mask has shape {}, expected the sizes from dimension {} on of {}",
                                 chosen.shape(), dim, x.shape()));
  merged.push_back(count);
  for (int64_t d = dim + chosen.rank(); d < x.rank(); ++d) merged.push_back(x.shape()[d]);
  return index_select(x.reshape(merged), dim, nonzero(chosen.reshape({-1})).reshape({-1}));
}

}  // namespace

Tensor Tensor::index(std::initializer_list<Index> indices) const {
  int64_t taken = 0, ellipses = 0;
  for (const Index& index : indices) {
    taken += taken_by(index);
    ellipses += std::holds_alternative<Ellipsis>(index.value()) ? 1 : 0;
  }
  if (taken > rank())
    throw IndexError(fmt::format("index: {} indices for {} dimensions, expected at most one for each (shape {})", taken,
                                 rank(), shape()));
  if (ellipses > 1)
    throw ArgumentError(fmt::format("index: {} ellipses, expected at most one (shape {})", ellipses, shape()));
  Tensor view = *this, chosen;
  int64_t dim = 0, chosen_dim = 0;
  for (const Index& index : indices) {
    if (const auto* const position = std::get_if<int64_t>(&index.value())) {
      view = view.select(dim, *position);
    } else if (const auto* const slice = std::get_if<Slice>(&index.value())) {
      view = view.slice(dim++, slice->start, slice->stop, slice->step);
    } else if (std::holds_alternative<Ellipsis>(index.value())) {
      dim += rank() - taken;
    } else if (std::holds_alternative<NewAxis>(index.value())) {
      view = view.unsqueeze(dim++);
    } else {
      if (chosen.defined())
        throw ArgumentError(
            fmt::format("index: more than one tensor among the indices, expected at most one; gather takes "
                        "an index for each element (shape {})",
                        shape()));
      chosen = std::get<Tensor>(index.value());
      chosen_dim = dim;
      dim += taken_by(index);
    }
  }
  return chosen.defined() ? choose(view, chosen_dim, chosen) : view;
}

}  // namespace dnn
