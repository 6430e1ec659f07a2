// Losses against PyTorch; losses.py has the same cases.
#include "dnn/ops.h"
#include "tests/torch/vectors.h"

namespace dnn::test {
namespace {

const TorchInput logits = R({6, 5}), labels = I({6}, 0, 5);
const std::vector<TorchInput> pair{R({4, 3}), R({4, 3})}, probabilities{R({4, 3}, -8, 8), R({4, 3}, 0, 1)};
const Tensor weight = tensor({0.5, 2, 1, 0.25, 3}, {5}, {.dtype = DType::float64});

const TorchCases loss_cases{
    "losses",
    {
        {"cross_entropy", {logits, labels}, [](const Xs& x) { return cross_entropy(x[0], x[1]); }},
        {"cross_entropy.none",
         {logits, labels},
         [](const Xs& x) { return cross_entropy(x[0], x[1], {.reduction = Reduction::none}); }},
        {"cross_entropy.weight",
         {logits, labels},
         [](const Xs& x) { return cross_entropy(x[0], x[1], {.weight = weight}); }},
        {"cross_entropy.ignore",
         {logits, labels},
         [](const Xs& x) { return cross_entropy(x[0], x[1], {.weight = weight, .ignore_index = 2}); }},
        {"cross_entropy.smoothing",
         {logits, labels},
         [](const Xs& x) {
           return cross_entropy(x[0], x[1], {.weight = weight, .ignore_index = 2, .label_smoothing = 0.1});
         }},
        {"cross_entropy.image",
         {R({2, 5, 3, 4}), I({2, 3, 4}, 0, 5)},
         [](const Xs& x) { return cross_entropy(x[0], x[1], {.weight = weight, .label_smoothing = 0.2}); }},
        {"cross_entropy.probabilities",
         {logits, R({6, 5}, 0, 1)},
         [](const Xs& x) { return cross_entropy(x[0], x[1], {.weight = weight, .label_smoothing = 0.1}); }},
        {"nll_loss",
         {logits, labels},
         [](const Xs& x) { return nll_loss(x[0], x[1], {.weight = weight, .ignore_index = 2}); }},
        {"mse_loss", pair, [](const Xs& x) { return mse_loss(x[0], x[1]); }},
        {"l1_loss", pair, [](const Xs& x) { return l1_loss(x[0], x[1]); }},
        {"smooth_l1_loss", pair, [](const Xs& x) { return smooth_l1_loss(x[0], x[1], {.beta = 0.7}); }},
        {"huber_loss", pair, [](const Xs& x) { return huber_loss(x[0], x[1], {.delta = 0.7}); }},
        {"bce_with_logits", probabilities, [](const Xs& x) { return bce_with_logits(x[0], x[1]); }},
        {"bce_with_logits.weights", probabilities,
         [](const Xs& x) {
           const Tensor weight = tensor({1, 2, 0.5}).to(x[0].dtype()), positive = tensor({3, 1, 2}).to(x[0].dtype());
           return bce_with_logits(x[0], x[1], {.weight = weight, .pos_weight = positive});
         }},
        {"kl_div",
         {R({4, 3}), R({4, 3}, 0.1, 1)},
         [](const Xs& x) { return kl_div(x[0], x[1], {.reduction = Reduction::batch_mean}); }},
        {"kl_div.log", pair,
         [](const Xs& x) { return kl_div(x[0], x[1], {.reduction = Reduction::sum, .log_target = true}); }},
    }};

}  // namespace
}  // namespace dnn::test
