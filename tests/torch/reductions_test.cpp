// The reductions against PyTorch; reductions.py has the same cases.
#include <cmath>

#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

Tensor wide(const Tensor& indices) { return indices.to(DType::float64); }

// 1 where `x` lies above the bound.
Tensor above(const Tensor& x, double bound) { return clamp(x - bound, 0, INFINITY).to(DType::boolean); }

Tensor zeros_at_multiples_of_five() {
  return tensor({0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1}, {3, 4}, {.dtype = DType::float64});
}

const TorchCases cases{
    "reductions",
    {
        {"var",
         {R({3, 4, 5})},
         [](const Xs& x) {
           return var(x[0], {.dims = {0, 2}});
         }},
        {"var.biased",
         {R({3, 4, 5})},
         [](const Xs& x) { return var(x[0], {.dims = {1}, .correction = 0, .keepdim = true}); }},
        {"std", {R({3, 4, 5})}, [](const Xs& x) { return dnn::std(x[0], {.dims = {-1}}); }},
        {"prod", {R({3, 4})}, [](const Xs& x) { return prod(x[0], {.dims = {1}}); }},
        {"prod.zeros",
         {R({3, 4})},
         [](const Xs& x) { return prod(x[0] * zeros_at_multiples_of_five().to(x[0].dtype()), {.dims = {1}}); }},
        {"max", {R({3, 4, 5})}, [](const Xs& x) { return max(x[0], 1).values; }},
        {"min", {R({3, 4, 5})}, [](const Xs& x) { return min(x[0], 2).values; }},
        {"argmin", {R({3, 4, 5})}, [](const Xs& x) { return wide(argmin(x[0], 1)); }},
        {"norm.1",
         {R({3, 4, 5})},
         [](const Xs& x) {
           return norm(x[0], {.p = 1, .dims = {1, 2}});
         }},
        {"norm.2", {R({3, 4, 5})}, [](const Xs& x) { return norm(x[0], {.dims = {0}}); }},
        {"norm.3", {R({3, 4, 5})}, [](const Xs& x) { return norm(x[0], {.p = 3, .dims = {1}, .keepdim = true}); }},
        {"norm.half", {R({3, 4})}, [](const Xs& x) { return norm(x[0], {.p = 0.5}); }},
        {"norm.inf",
         {R({3, 4, 5})},
         [](const Xs& x) {
           return norm(x[0], {.p = INFINITY, .dims = {0, 2}});
         }},
        {"norm.zero", {R({3, 4})}, [](const Xs& x) { return norm(x[0] * 0, {.dims = {1}}); }},
        {"logsumexp",
         {R({3, 4, 5}, -500, 500)},
         [](const Xs& x) {
           return logsumexp(x[0], {.dims = {0, 2}});
         }},
        {"any", {R({3, 4})}, [](const Xs& x) { return wide(any(above(x[0], 1.9), {.dims = {1}})); }},
        {"all", {R({3, 4})}, [](const Xs& x) { return wide(all(above(x[0], -1.5), {.dims = {1}})); }},
    }};

}  // namespace
}  // namespace dnn::test
