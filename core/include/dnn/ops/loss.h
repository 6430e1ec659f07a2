// Losses: one number that says how wrong a prediction is.
#pragma once

#include <optional>

#include "dnn/tensor.h"

namespace dnn {

/// How the losses of the samples become the result: mean -> [], sum -> [], none -> one loss per sample or element,
/// batch_mean -> [], their sum over the number of samples (the first dimension).
enum class Reduction { mean, sum, none, batch_mean };

/// Options of the losses that have no others.
struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// Options of `cross_entropy`.
struct CrossEntropyOptions {
  Tensor weight = {};                        ///< [classes], how much each class counts; undefined: all the same.
  std::optional<int64_t> ignore_index = {};  ///< Samples with this label do not count.
  Reduction reduction = Reduction::mean;     ///< mean: over the weights of the labels, as in PyTorch.
  double label_smoothing = 0;                ///< Share of each target spread over all classes, in [0, 1].
};

/// -log(softmax(logits)[label]): logits [n, classes, ...] and labels [n, ...] of int64 or int32 -> [] (or [n, ...]), or
/// logits [classes] and a label []. Targets of the logits' shape and a floating type are probabilities of the classes.
/// Label smoothing: Szegedy et al., "Rethinking the inception architecture", CVPR 2016. Throws ShapeError, DTypeError,
/// ArgumentError, IndexError for a label outside [0, classes); without `ignore_index` PyTorch's -100 is one of these.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options = {});

/// What `classification_loss` gives.
struct ClassificationLoss {
  Tensor loss;  ///< [], the mean over the samples.
  Tensor sums;  ///< float64 [2]: the sum of the samples' losses, and how many have their largest logit (of equals the
                ///< first) at their label. It has no gradient.
};

/// `cross_entropy` of logits [n, classes] and labels [n], the mean over the samples, with what a training loop wants to
/// know beside it: on a GPU the loss, its gradient and both sums are one launch. Throws like `cross_entropy`.
ClassificationLoss classification_loss(const Tensor& logits, const Tensor& labels, double label_smoothing = 0);

/// Options of `nll_loss`.
struct NllLossOptions {
  Tensor weight = {};                        ///< [classes], how much each class counts; undefined: all the same.
  std::optional<int64_t> ignore_index = {};  ///< Samples with this label do not count.
  Reduction reduction = Reduction::mean;     ///< mean: over the weights of the labels, as in PyTorch.
};

/// -input[label], for log-probabilities as `log_softmax` gives them; shapes and errors as `cross_entropy` with labels.
Tensor nll_loss(const Tensor& input, const Tensor& labels, const NllLossOptions& options = {});

/// (input - target)^2 of two tensors of one shape. Throws ShapeError, DTypeError unless floating.
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

/// |input - target| of two tensors of one shape. Throws ShapeError, DTypeError unless floating.
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

/// Options of `smooth_l1_loss`.
struct SmoothL1LossOptions {
  Reduction reduction = Reduction::mean;
  double beta = 1;  ///< Where the parabola ends; 0 gives `l1_loss`.
};

/// d^2 / (2 beta) for |d| < beta, else |d| - beta / 2, with d = input - target of one shape (Girshick, "Fast R-CNN",
/// ICCV 2015). Throws ShapeError, DTypeError unless floating, ArgumentError for a negative beta.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1LossOptions& options = {});

/// Options of `huber_loss`.
struct HuberLossOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1;  ///< Where the parabola ends.
};

/// d^2 / 2 for |d| < delta, else delta (|d| - delta / 2), with d = input - target of one shape (Huber, "Robust
/// estimation of a location parameter", 1964). Throws ShapeError, DTypeError unless floating, ArgumentError unless
/// delta > 0.
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options = {});

/// Options of `bce_with_logits`.
struct BceOptions {
  Tensor weight = {};      ///< Factor of each loss; broadcasts to the input.
  Tensor pos_weight = {};  ///< Factor of the target's part, e.g. negatives / positives; broadcasts to the input.
  Reduction reduction = Reduction::mean;
};

/// -target log s(input) - (1 - target) log(1 - s(input)), s being the sigmoid, for targets in [0, 1] of the input's
/// shape. Throws ShapeError, DTypeError unless floating.
Tensor bce_with_logits(const Tensor& input, const Tensor& target, const BceOptions& options = {});

/// Options of `kl_div`.
struct KlDivOptions {
  Reduction reduction =
      Reduction::mean;      ///< The divergence itself is batch_mean; mean is over elements, as in PyTorch.
  bool log_target = false;  ///< The target holds log-probabilities as well.
};

/// Kullback-Leibler divergence target (log target - input), for log-probabilities as input and probabilities of the
/// same shape as target. Throws ShapeError, DTypeError unless floating.
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options = {});

/// The quadratic cost 1 / (2 n) sum |output - target|^2 of n samples [n, ...] of one shape, the loss that first
/// lectures on neural networks use -> []. Throws ShapeError, DTypeError unless floating.
Tensor quadratic_cost(const Tensor& output, const Tensor& target);

}  // namespace dnn
