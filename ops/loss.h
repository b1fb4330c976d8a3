#pragma once
// Losses. All take predictions first and targets second, and give the mean over their elements unless told otherwise.

#include "core/arg.h"

namespace gradus {

/// batchmean, for losses of elements, is the sum divided by the size of dimension 0.
enum class LossReduction { none, mean, sum, batchmean };

struct CrossEntropyOptions {
  Tensor weight = {};           ///< [C], a factor for each class
  int64_t ignore_index = -100;  ///< targets with this class do not count
  double label_smoothing = 0;   ///< this share of each target is spread over all classes (Szegedy et al., 2016)
  LossReduction reduction = LossReduction::mean;  ///< the mean is weighted by `weight`
};

/// −log softmax(logits)[target]. logits: [N, C, d1, …] or [C]; target: classes, int64 [N, d1, …] or [], or
/// probabilities, shaped as logits. The mean is over N and d1, …
Tensor cross_entropy(const Arg& logits, const Arg& target, const CrossEntropyOptions& options = {});

struct NllOptions {
  Tensor weight = {};  ///< [C], a factor for each class
  int64_t ignore_index = -100;
  LossReduction reduction = LossReduction::mean;  ///< the mean is weighted by `weight`
};
/// −log_probability[target]. log_probability: [N, C, d1, …] or [C] (see log_softmax); target: int64 [N, d1, …] or [].
Tensor nll_loss(const Arg& log_probability, const Arg& target, const NllOptions& options = {});

/// (x − target)²
Tensor mse_loss(const Arg& x, const Arg& target, LossReduction reduction = LossReduction::mean);
/// |x − target|
Tensor l1_loss(const Arg& x, const Arg& target, LossReduction reduction = LossReduction::mean);
/// d²/2 for |d| = |x − target| ≤ delta, delta·(|d| − delta/2) beyond (Huber, 1964).
Tensor huber_loss(const Arg& x, const Arg& target, double delta = 1, LossReduction reduction = LossReduction::mean);
/// Huber's loss divided by beta: d²/(2·beta) for |d| ≤ beta, |d| − beta/2 beyond.
Tensor smooth_l1_loss(const Arg& x, const Arg& target, double beta = 1, LossReduction reduction = LossReduction::mean);

struct BinaryCrossEntropyOptions {
  Tensor weight = {};      ///< a factor for each element; broadcasts with x
  Tensor pos_weight = {};  ///< likewise, of the term with target: more than 1 favours recall, less favours precision
  LossReduction reduction = LossReduction::mean;
};
/// −target·log σ(x) − (1 − target)·log(1 − σ(x)), without overflow. target: probabilities.
Tensor binary_cross_entropy_with_logits(const Arg& x, const Arg& target, const BinaryCrossEntropyOptions& options = {});
/// target·(log target − x), with x = log of the predicted probability; 0 where target is 0. With `log_target`, target
/// is a logarithm, too. The mean is over all elements; that over examples, which is the divergence, is batchmean.
Tensor kl_div(const Arg& x, const Arg& target, LossReduction reduction = LossReduction::mean, bool log_target = false);

}  // namespace gradus
