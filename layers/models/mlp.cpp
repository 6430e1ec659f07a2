// Networks of fully connected layers.
#include "dnn/models/mlp.h"

#include "dnn/layers.h"
#include "layers/models/widths.h"

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

Sequential hinton2006(const Hinton2006Options& options) {
  const detail::Widths wide("hinton2006", options.width, 500, {2000});
  return Sequential(Flatten(), Linear(options.inputs, wide(500)), Sigmoid(),  //
                    Linear(wide(500), wide(500)), Sigmoid(),                  //
                    Linear(wide(500), wide(2000)), Sigmoid(),                 //
                    Linear(wide(2000), options.classes));
}

}  // namespace dnn
