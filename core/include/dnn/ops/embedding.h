// Rows of a table by their numbers.
#pragma once

#include <optional>

#include "dnn/tensor.h"

namespace dnn {

/// Options of `embedding`.
struct EmbeddingOptions {
  std::optional<int64_t>
      padding_idx;  ///< The row that stands for no word: it gets no gradient. Negative: from the end.
};

/// Row index[...] of a table: index [...] (int64 or int32), weight [rows, features] -> [..., features]. The gradient of
/// the weight is dense, its sums are the same in every run. Throws ShapeError, DTypeError, IndexError for an index or a
/// padding_idx out of range (on a GPU at the next wait).
Tensor embedding(const Tensor& index, const Tensor& weight, const EmbeddingOptions& options = {});

}  // namespace dnn
