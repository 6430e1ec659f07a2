// Steps of the optimizers, over one large tensor and over many small ones.
#include "dnn/ops/optim.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

// Lists of tensors that have `p.n` elements together.
Tensors list(const Place& p, int64_t count) {
  Tensors tensors;
  for (int64_t i = 0; i < count; ++i) tensors.push_back(p.random({p.n / count}));
  return tensors;
}

// An update of a list with its gradients and `states` lists of state.
template <class Update>
Make update(int64_t count, int states, Update call) {
  return [=](const Place& p) {
    std::vector<Tensors> lists;
    for (int i = 0; i < 2 + states; ++i) lists.push_back(list(p, count));
    return Operation{{}, [=](T) {
                       call(lists);
                       return Tensor();
                     }};
  };
}

using Lists = const std::vector<Tensors>&;
void sgd(Lists l) { sgd_update_(l[0], l[1], l.size() > 2 ? l[2] : Tensors(), {.momentum = l.size() > 2 ? 0.9 : 0.0}); }
void adam(Lists l) { adam_update_(l[0], l[1], l[2], l[3], {}); }
void rmsprop(Lists l) { rmsprop_update_(l[0], l[1], l[2], {}, {}, {}); }
void adagrad(Lists l) { adagrad_update_(l[0], l[1], l[2], {}); }

}  // namespace

Family updates() {
  constexpr auto forward = Passes::forward;
  return {
      "update",
      elements,
      {
          {"sgd", update(1, 0, sgd), forward},
          {"sgd_momentum", update(1, 1, sgd), forward},
          {"sgd_momentum_64_tensors", update(64, 1, sgd), forward},
          {"adam", update(1, 2, adam), forward},
          {"adam_64_tensors", update(64, 2, adam), forward},
          {"rmsprop", update(1, 1, rmsprop), forward},
          {"adagrad", update(1, 1, adagrad), forward},
      },
  };
}

}  // namespace dnn::bench
