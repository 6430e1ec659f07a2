// The layer that gives numbers a vector each.
#include "dnn/layers/embedding.h"

#include <fmt/format.h>

#include "dnn/autograd.h"
#include "dnn/init.h"
#include "layers/blank.h"

namespace dnn {

Embedding::Embedding(int64_t rows, int64_t features, const EmbeddingOptions& options) : options_(options) {
  if (rows < 1 || features < 1)
    throw ArgumentError(
        fmt::format("Embedding: rows is {} and features is {}, expected both at least 1", rows, features));
  const std::optional<int64_t> padding = options.padding_idx;
  if (padding && (*padding < -rows || *padding >= rows))
    throw IndexError(
        fmt::format("Embedding: padding_idx is {}, expected {} <= padding_idx < {}", *padding, -rows, rows));
  weight = Parameter(detail::blank({rows, features}));
  normal_(weight);
  if (!padding) return;
  const NoGrad no_grad;
  weight.select(0, *padding).zero_();
}

std::string Embedding::describe() const {
  std::string text = fmt::format("{}, {}", weight.size(0), weight.size(1));
  if (options_.padding_idx) text += fmt::format(", padding_idx={}", *options_.padding_idx);
  return text;
}

}  // namespace dnn
