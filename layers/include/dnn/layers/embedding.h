// The layer that gives words, or whatever has a number, a vector each.
#pragma once

#include "dnn/layer.h"
#include "dnn/ops/embedding.h"

namespace dnn {

/// Row index of a table, see `embedding`: indices [...] (int64 or int32) -> [..., features]. The weight starts normal
/// with deviation 1, the row of `padding_idx` with zeros.
class Embedding : public Layer {
 public:
  Parameter weight;  ///< [rows, features]
  DNN_MODULE(weight)

  /// Throws ArgumentError unless both sizes are at least 1, IndexError for a padding_idx out of range.
  Embedding(int64_t rows, int64_t features, const EmbeddingOptions& options = {});
  Tensor forward(Tensor x) override { return embedding(x, weight, options_); }
  std::string describe() const override;

 private:
  EmbeddingOptions options_;
};

}  // namespace dnn
