// An image read as a sequence.
#include "dnn/models/row_lstm.h"

#include "dnn/layers.h"
#include "layers/models/blocks.h"
#include "layers/models/widths.h"

namespace dnn {

Sequential row_lstm(const RowLstmOptions& options) {
  detail::at_least_one("row_lstm", "channels", options.channels);
  const int64_t units = detail::Widths("row_lstm", options.width, 128, {})(128);
  return Sequential(Flatten(1, 2),  // rows of all channels
                    LSTM(options.size, units, {.batch_first = true, .return_sequences = false}),
                    Linear(units, options.classes));
}

}  // namespace dnn
