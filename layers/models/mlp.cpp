// Networks of fully connected layers.
#include "dnn/models/mlp.h"

#include "dnn/layers.h"

namespace dnn {

Sequential mlp(const MlpOptions& options) {
  Sequential net;
  net.append(Flatten());
  int64_t in = options.inputs;
  for (const int64_t neurons : options.hidden) {
    net.append(Linear(in, neurons)).append(ReLU());
    if (options.dropout != 0) net.append(Dropout(options.dropout));
    in = neurons;
  }
  net.append(Linear(in, options.classes));
  return net;
}

}  // namespace dnn
