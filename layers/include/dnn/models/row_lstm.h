// An image read as a sequence.
#pragma once

#include "dnn/layers/sequential.h"

namespace dnn {

/// Options of `row_lstm`.
struct RowLstmOptions {
  int64_t classes = 10;  ///< Outputs.
  int64_t channels = 1;  ///< Of the input.
  int64_t size = 28;     ///< Pixels of a row.
  int64_t width = 128;   ///< Units of the LSTM.
};

/// An LSTM (Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997) that reads an image row by
/// row, of one channel after another, and a fully connected layer on its last state: [n, channels, h, size] -> [n,
/// classes]. Throws ArgumentError for a number below 1.
Sequential row_lstm(const RowLstmOptions& options = {});

}  // namespace dnn
