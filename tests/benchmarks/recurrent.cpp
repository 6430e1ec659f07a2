// Recurrent layers over 28 steps; the size counts sequences.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

using Cell = RecurrentOutput (*)(const Tensor&, const std::vector<RecurrentWeights>&, const RecurrentState&,
                                 const RecurrentOptions&);

Make cell(Cell operation, int64_t gates, int64_t in, int64_t hidden, bool both = false) {
  return [=](const Place& p) {
    Tensors inputs{p.random({28, p.n, in})};
    for (int direction = 0; direction < (both ? 2 : 1); ++direction)
      for (const Shape& shape :
           {Shape{gates * hidden, in}, Shape{gates * hidden, hidden}, Shape{gates * hidden}, Shape{gates * hidden}})
        inputs.push_back(p.random(shape) * 0.1);
    return Operation{inputs, [=](T t) {
                       std::vector<RecurrentWeights> weights;
                       for (size_t i = 1; i < t.size(); i += 4) weights.push_back({t[i], t[i + 1], t[i + 2], t[i + 3]});
                       return operation(t[0], weights, {}, {.bidirectional = both}).output;
                     }};
  };
}

}  // namespace

Family recurrent() {
  const Sizes batches{{1, 128}, {128, 4096}};
  return {
      "recurrent",
      batches,
      {
          {"lstm_28_128", cell(lstm, 4, 28, 128)},
          {"lstm_512_512", cell(lstm, 4, 512, 512)},
          {"lstm_28_128_both_ways", cell(lstm, 4, 28, 128, true)},
          {"gru_28_128", cell(gru, 3, 28, 128)},
      },
  };
}

}  // namespace dnn::bench
