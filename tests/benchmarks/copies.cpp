// Moving elements: copies of all kinds, layouts, joining and cutting, random numbers.
#include "core/node.h"
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Operation overwritten(const Place& p) {
  const Tensor to = p.random({p.n});
  return {{p.random({p.n})}, [to](T t) { return Tensor(to).copy_(t[0]); }};
}

Operation to_native(const Place& p) {
  return {{p.images(64, 28)}, [device = p.device](T t) { return detail::in_layout(t[0], native_layout(device)); }};
}

Tensor channels_last(const Tensor& x) { return x.permute({0, 2, 3, 1}).contiguous(); }
Tensor every_second(const Tensor& x) { return x.slice(0, 0, x.numel(), 2).contiguous(); }
Tensor plain(const Tensor& x) { return detail::in_layout(x, detail::Layout::plain); }

Operation uniform(const Place& p) {
  return {{}, [p](T) { return p.random({p.n}); }};
}

Operation normal(const Place& p) {
  return {{}, [p](T) { return randn({p.n}, {.device = p.device}); }};
}

}  // namespace

Family copies() {
  constexpr auto forward = Passes::forward;
  return {
      "copy",
      elements,
      {
          {"copy_", overwritten, forward},
          {"clone", of(vectors(), [](T t) { return t[0].clone(); }), forward},
          {"fill", of(vectors(), [](T t) { return Tensor(t[0]).fill_(1); }), forward},
          {"to_float64", of(vectors(), [](T t) { return t[0].to(DType::float64); })},
          {"to_bfloat16", of(vectors(), [](T t) { return t[0].to(DType::bfloat16); })},
          {"transpose", of(matrices(1024), [](T t) { return t[0].t().contiguous(); })},
          {"permute_nchw_nhwc", of(images(64, 28), [](T t) { return channels_last(t[0]); })},
          {"every_second", of(vectors(), [](T t) { return every_second(t[0]); })},
          {"to_native", to_native, forward},
          {"from_native", of(natives(64, 28), [](T t) { return plain(t[0]); }), forward},
          {"cat_columns", of(matrices(256, 2),
                             [](T t) {
                               return cat({t[0], t[1]}, 1);
                             })},
          {"flip", of(images(3, 32), [](T t) { return flip(t[0], {3}); })},
          {"pad", of(images(3, 32),
                     [](T t) {
                       return pad(t[0], {4, 4, 4, 4});
                     })},
          {"rand", uniform, forward},
          {"randn", normal, forward},
      },
  };
}

}  // namespace dnn::bench
