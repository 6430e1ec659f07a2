// Indexing, order, shapes and batched products against PyTorch; indexing.py has the same cases.
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

Tensor wide(const Tensor& indices) { return indices.to(DType::float64); }

// Every third, fourth ... element of a shape.
Tensor every(int64_t step, int64_t first, const Shape& shape) {
  const Tensor mask = zeros(shape, {.dtype = DType::boolean});
  for (int64_t i = first; i < shape.numel(); i += step) mask.reshape({-1}).select(0, i).fill_(1);
  return mask;
}

const TorchCases index_cases{
    "indexing",
    {
        {"index_select", {R({4, 3, 2}), I({5}, 0, 3)}, [](const Xs& x) { return index_select(x[0], 1, x[1]); }},
        {"gather", {R({3, 4}), I({2, 6}, 0, 4)}, [](const Xs& x) { return gather(x[0], 1, x[1]); }},
        {"scatter_add",
         {R({3, 4}), I({5, 4}, 0, 3), R({5, 4})},
         [](const Xs& x) { return scatter_add(x[0], 0, x[1], x[2]); }},
        {"index_add",
         {R({3, 4}), I({6}, 0, 3), R({6, 4})},
         [](const Xs& x) { return index_add(x[0], 0, x[1], x[2], 2); }},
        {"take", {R({3, 4}), I({2, 3}, 0, 12)}, [](const Xs& x) { return take(x[0], x[1]); }},
        {"masked_select",
         {R({3, 4})},
         [](const Xs& x) {
           return masked_select(x[0], every(3, 1, {3, 4}));
         }},
        {"index",
         {R({4, 3, 5})},
         [](const Xs& x) {
           return x[0].index({Slice(1, 3), new_axis, -1, ellipsis, Slice(0, Slice::end, 2)});
         }},
        {"index.tensor",
         {R({4, 3, 5}), I({2, 3}, 0, 3)},
         [](const Xs& x) {
           return x[0].index({Slice(), x[1], Slice(1)});
         }},
        {"index.mask",
         {R({4, 3, 5})},
         [](const Xs& x) {
           return x[0].index({Slice(), every(4, 0, {3, 5})});
         }},
        {"sort", {R({3, 7})}, [](const Xs& x) { return sort(x[0], {.dim = 0, .descending = true}).values; }},
        {"sort.indices", {R({3, 7})}, [](const Xs& x) { return wide(sort(x[0]).indices); }},
        {"topk", {R({3, 7})}, [](const Xs& x) { return topk(x[0], 3).values; }},
        {"topk.indices", {R({3, 7})}, [](const Xs& x) { return wide(topk(x[0], 3, {.largest = false}).indices); }},
        {"cumsum", {R({3, 4, 5})}, [](const Xs& x) { return cumsum(x[0], 1); }},
    }};

const TorchCases shape_cases{"indexing",
                             {
                                 {"stack", {R({3, 4}), R({3, 4})}, [](const Xs& x) { return stack(x, 1); }},
                                 {"split", {R({3, 7})}, [](const Xs& x) { return split(x[0], 3, 1)[2]; }},
                                 {"split.sizes",
                                  {R({3, 7})},
                                  [](const Xs& x) {
                                    return split(x[0], {2, 4, 1}, 1)[1];
                                  }},
                                 {"chunk", {R({3, 7})}, [](const Xs& x) { return chunk(x[0], 3, 1)[1]; }},
                                 {"unbind", {R({3, 7})}, [](const Xs& x) { return unbind(x[0], 1)[5]; }},
                                 {"pad",
                                  {R({2, 3, 4, 5})},
                                  [](const Xs& x) {
                                    return pad(x[0], {1, 2, -1, 3}, {.value = 0.5});
                                  }},
                                 {"pad.reflect",
                                  {R({2, 3, 4, 5})},
                                  [](const Xs& x) {
                                    return pad(x[0], {2, 1, 3, 0}, {.mode = PadMode::reflect});
                                  }},
                                 {"pad.replicate",
                                  {R({2, 3, 4, 5})},
                                  [](const Xs& x) {
                                    return pad(x[0], {2, 1, 3, 7}, {.mode = PadMode::replicate});
                                  }},
                                 {"permute",
                                  {R({2, 3, 4})},
                                  [](const Xs& x) {
                                    return permute(x[0], {2, 0, 1});
                                  }},
                                 {"movedim", {R({2, 3, 4})}, [](const Xs& x) { return movedim(x[0], 0, 2); }},
                                 {"repeat",
                                  {R({2, 3})},
                                  [](const Xs& x) {
                                    return repeat(x[0], {2, 3, 2});
                                  }},
                                 {"tile",
                                  {R({2, 1, 3})},
                                  [](const Xs& x) {
                                    return tile(x[0], {3, 2});
                                  }},
                                 {"flip",
                                  {R({2, 3, 4})},
                                  [](const Xs& x) {
                                    return flip(x[0], {0, 2});
                                  }},
                                 {"roll", {R({2, 5})}, [](const Xs& x) { return roll(x[0], 2, 1); }},
                                 {"tril", {R({2, 4, 5})}, [](const Xs& x) { return tril(x[0], 1); }},
                                 {"triu", {R({4, 3})}, [](const Xs& x) { return triu(x[0], -1); }},
                                 {"diagonal", {R({3, 4, 5})}, [](const Xs& x) { return diagonal(x[0], -1, 2, 0); }},
                             }};

// A product of two tensors.
TorchCase product(const std::string& name, const Shape& a, const Shape& b) {
  return {"matmul." + name, {R(a), R(b)}, [](const Xs& x) { return matmul(x[0], x[1]); }};
}

const TorchCases product_cases{"indexing",
                               {
                                   {"bmm", {R({3, 4, 5}), R({3, 5, 2})}, [](const Xs& x) { return bmm(x[0], x[1]); }},
                                   product("batch", {2, 1, 4, 5}, {3, 5, 2}),
                                   product("matrix", {2, 3, 4, 5}, {5, 2}),
                                   product("left", {4, 5}, {3, 5, 2}),
                                   product("vectors", {5}, {5}),
                                   product("row", {5}, {3, 5, 2}),
                                   product("column", {3, 4, 5}, {5}),
                                   {"outer", {R({4}), R({3})}, [](const Xs& x) { return outer(x[0], x[1]); }},
                               }};

}  // namespace
}  // namespace dnn::test
