// The operations on tensors against PyTorch; ops.py has the same cases.
#include "dnn/ops.h"

#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

// A case of a function of one tensor.
TorchCase one(const std::string& name, const TorchInput& input, Tensor (*f)(const Tensor&)) {
  return {name, {input}, [f](const Xs& x) { return f(x[0]); }};
}

const TorchInput any = R({3, 5}), positive = R({3, 5}, 0.1, 4);

const TorchCases unary_cases{"ops",
                             {
                                 one("neg", any, neg),
                                 one("abs", any, abs),
                                 one("exp", any, exp),
                                 one("square", any, square),
                                 one("relu", any, relu),
                                 one("sigmoid", any, sigmoid),
                                 one("tanh", any, tanh),
                                 one("silu", any, silu),
                                 one("log", positive, log),
                                 one("sqrt", positive, sqrt),
                             }};

const TorchCases other_cases{
    "ops",
    {
        {"div", {R({2, 3, 4}), R({3, 1}, 0.5, 2)}, [](const Xs& x) { return x[0] / x[1]; }},
        {"softmax", {R({3, 4, 5})}, [](const Xs& x) { return softmax(x[0], 1); }},
        {"log_softmax", {R({3, 4, 5})}, [](const Xs& x) { return log_softmax(x[0], -1); }},
        {"conv2d",
         {R({2, 4, 7, 6}), R({6, 2, 3, 2}), R({6})},
         [](const Xs& x) {
           return conv2d(x[0], x[1], x[2], {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
         }},
        {"linear", {R({2, 3, 5}), R({4, 5}), R({4})}, [](const Xs& x) { return linear(x[0], x[1], x[2]); }},
        {"matmul", {R({3, 5}), R({5, 2})}, [](const Xs& x) { return matmul(x[0], x[1]); }},
        {"max_pool2d",
         {R({2, 3, 7, 6})},
         [](const Xs& x) { return max_pool2d(x[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
        {"avg_pool2d",
         {R({2, 3, 7, 6})},
         [](const Xs& x) {
           return avg_pool2d(x[0], {.kernel = {3, 2}, .stride = 2, .padding = 1});
         }},
        {"avg_pool2d.exclude",
         {R({2, 3, 7, 6})},
         [](const Xs& x) {
           return avg_pool2d(x[0], {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false});
         }},
        {"batch_norm",
         {R({4, 3, 2, 5}), R({3}), R({3})},
         [](const Xs& x) {
           const TensorOptions like = x[0].options();
           return batch_norm(x[0], x[1], x[2], zeros({3}, like), ones({3}, like));
         }},
        {"sum",
         {R({2, 3, 4})},
         [](const Xs& x) {
           return sum(x[0], {.dims = {0, 2}});
         }},
        {"mean", {R({2, 3, 4})}, [](const Xs& x) { return mean(x[0], {.dims = {1}, .keepdim = true}); }},
    }};

}  // namespace
}  // namespace dnn::test
