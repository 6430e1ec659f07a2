// Reading and writing at positions that a tensor names, and ordering.
#include "dnn/ops.h"
#include "tests/benchmarks/bench.h"

namespace dnn::bench {

namespace {

using T = const Tensors&;

Operation rows_of_a_table(const Place& p) {
  const Tensor index = p.integers({std::max<int64_t>(1, p.n / 256)}, 10000);
  return {{p.random({10000, 256})}, [index](T t) { return embedding(index, t[0]); }};
}

Operation chosen_rows(const Place& p) {
  const Tensor x = p.rows(256), index = p.integers({x.size(0)}, x.size(0));
  return {{x}, [index](T t) { return index_select(t[0], 0, index); }};
}

Operation gathered(const Place& p) {
  const Tensor x = p.rows(1024), index = p.integers(x.shape(), 1024);
  return {{x}, [index](T t) { return gather(t[0], 1, index); }};
}

Operation scattered(const Place& p) {
  const Tensor x = p.rows(1024), index = p.integers(x.shape(), 1024);
  return {{x, p.rows(1024)}, [index](T t) { return scatter_add(t[0], 1, index, t[1]); }};
}

Operation augmented(const Place& p) {
  const Tensor images = p.integers({std::max<int64_t>(1, p.n / (3 * 32 * 32)), 3, 32, 32}, 256).to(DType::uint8);
  return {{images}, [](T t) { return augment_images(t[0], {.padding = 4, .flip = 0.5}); }};
}

Operation masked(const Place& p) {
  const Tensor mask = lt(p.random({p.n}), 0.5);
  return {{p.random({p.n})}, [mask](T t) { return masked_select(t[0], mask); }};
}

}  // namespace

Family indexing() {
  constexpr auto forward = Passes::forward;
  return {
      "index",
      elements,
      {
          {"embedding_256", rows_of_a_table},
          {"index_select_rows", chosen_rows},
          {"gather", gathered},
          {"scatter_add", scattered},
          {"augment_images_32", augmented, forward},
          {"masked_select", masked, forward},
          {"sort_rows", of(matrices(1024), [](T t) { return sort(t[0]).values; }), forward},
          {"topk_5_of_rows", of(matrices(1000), [](T t) { return topk(t[0], 5).values; }), forward},
      },
  };
}

}  // namespace dnn::bench
