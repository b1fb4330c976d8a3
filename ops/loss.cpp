#include "ops/loss.h"

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/cpu/softmax.h"
#include "ops/create.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/loss_formulas.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace gradus {

std::vector<Operation> loss_operations() { return describe(formula::Losses{}); }

namespace {

Tensor reduced(const Tensor& loss, LossReduction reduction) {
  if (reduction == LossReduction::none) return loss;
  return reduction == LossReduction::mean ? mean(loss) : sum(loss);
}

template <class Formula> Tensor elementwise_loss(const char* name, const Formula& formula, const Arg& x,
                                                 const Arg& target, LossReduction reduction) {
  const Scope scope(name, x.where());
  if (x->shape() != target->shape())
    fail("x is " + to_string(x->shape()) + " and target is " + to_string(target->shape()) +
         "; both must have the same shape");
  return reduced(map(formula, x, target), reduction);
}

// What the fused operations below share: classes for rows of logits.
struct ClassTarget {
  int64_t ignore_index;
  double smoothing;
  double scale;  // 1 / the number of rows that count for a mean, 1 otherwise
  bool reduce;   // to a scalar; otherwise a loss a row

  cpu::CrossEntropyTarget kernel(const Tensor& classes) const {
    return {classes.data<int64_t>(), ignore_index, smoothing};
  }
  /// The distribution that the classes stand for, [N, C]; rows that do not count are 0.
  std::pair<Tensor, Tensor> distribution(const Tensor& logits, const Tensor& classes) const {
    const int64_t n = logits.shape().back();
    const Tensor label = unsqueeze(classes, 1), counts = to(label != double(ignore_index), logits.dtype());
    return {(to(label == arange(n), logits.dtype()) * (1 - smoothing) + smoothing / double(n)) * counts, counts};
  }
};

struct CrossEntropyBackward : ClassTarget {
  static constexpr Info info{"cross_entropy_backward", "(softmax($1) − onehot($2))·$0"};
  Tensor forward(const Tensor& dy, const Tensor& logits, const Tensor& classes) const {
    const NoGrad off;
    const Tensor dx = Tensor::empty(logits.shape(), logits.dtype(), logits.device());
    cpu::cross_entropy_backward(expand(scale == 1 ? dy : dy * scale, classes.shape()), logits, kernel(classes), dx);
    return dx;
  }
  Tensor plain(const Tensor& dy, const Tensor& logits, const Tensor& classes) const {
    const auto [q, counts] = distribution(logits, classes);
    return (softmax(logits, 1) * counts - q) * (reduce ? dy * scale : unsqueeze(dy * scale, 1));
  }
};

/// logits: [N, C], classes: [N].
struct CrossEntropy : ClassTarget {
  static constexpr Info info{"cross_entropy", "cross_entropy($0, $1)"};
  Tensor forward(const Tensor& logits, const Tensor& classes) const {
    const NoGrad off;
    const Tensor loss = Tensor::empty(classes.shape(), logits.dtype(), logits.device());
    cpu::cross_entropy(logits, kernel(classes), loss);
    return reduce ? sum(loss) * scale : loss;
  }
  auto backward(const Tensor& dy, const Tensor& logits, const Tensor& classes) const {
    return std::tuple([&] { return apply(CrossEntropyBackward{*this}, dy, logits, classes); }, Tensor());
  }
  Tensor plain(const Tensor& logits, const Tensor& classes) const {
    const Tensor loss = -sum(distribution(logits, classes).first * log_softmax(logits, 1), 1);
    return reduce ? sum(loss) * scale : loss;
  }
};

// Checks the classes, one a row of x: [N, C], and counts those that are not ignored.
int64_t count_classes(const Tensor& x, const Tensor& target, int64_t ignore_index) {
  if (target.dtype() != int64)
    fail("the classes in target must be int64, not " + std::string(to_string(target.dtype())));
  const int64_t classes = x.shape().back();
  const int64_t* values = target.data<int64_t>();
  int64_t counted = 0;
  for (int64_t i = 0; i < target.numel(); ++i) {
    if (values[i] == ignore_index) continue;
    if (values[i] < 0 || values[i] >= classes)
      fail("target[" + std::to_string(i) + "] is " + std::to_string(values[i]) + ", but the classes go from 0 to " +
           std::to_string(classes - 1));
    ++counted;
  }
  return counted;
}

// −Σ q·log p over each row, for targets that are distributions or weighted.
Tensor cross_entropy_of(const Tensor& logits, const Tensor& q, double divisor, LossReduction reduction) {
  const Tensor loss = -sum(q * log_softmax(logits, 1), 1);
  if (reduction == LossReduction::none) return loss;
  return reduction == LossReduction::sum ? sum(loss) : sum(loss) / divisor;
}

}  // namespace

Tensor cross_entropy(const Arg& logits, const Arg& target, const CrossEntropyOptions& options) {
  const Scope scope("cross_entropy", logits.where());
  const Tensor& x = *logits;
  const bool single = x.dim() == 1, probabilities = is_floating_point(target->dtype());
  const Shape classes_shape = single ? Shape{} : Shape{x.dim() == 2 ? x.shape()[0] : -1};
  if (!is_floating_point(x.dtype()) || x.dim() < 1 || x.dim() > 2 ||
      target->shape() != (probabilities ? x.shape() : classes_shape))
    fail("logits are " + to_string(x.shape()) + " and target is " + to_string(target->shape()) +
         "; logits must be [N, C] and target [N] (classes) or [N, C] (probabilities)");
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) fail("label_smoothing must lie between 0 and 1");
  if (options.weight.defined() && options.weight.shape() != Shape{x.shape().back()})
    fail("weight is " + to_string(options.weight.shape()) + "; one number for each of the " +
         std::to_string(x.shape().back()) + " classes is needed");

  const Tensor rows = single ? unsqueeze(x, 0) : x;
  const Tensor labels = contiguous(single ? unsqueeze(*target, 0) : *target);
  const int64_t counted = probabilities ? rows.shape()[0] : count_classes(rows, labels, options.ignore_index);
  const bool to_scalar = options.reduction != LossReduction::none;
  const double scale = options.reduction == LossReduction::mean ? 1 / double(counted) : 1;
  const ClassTarget classes{options.ignore_index, options.label_smoothing, scale, to_scalar};
  Tensor loss;
  if (!probabilities && !options.weight.defined()) {
    loss = apply(CrossEntropy{classes}, rows, labels);
  } else {
    const double smoothing = options.label_smoothing;
    Tensor q = probabilities ? labels * (1 - smoothing) + smoothing / double(x.shape().back())
                             : classes.distribution(rows, labels).first;
    double divisor = double(counted);
    if (options.weight.defined()) {
      q = q * options.weight;
      if (!probabilities) {
        const NoGrad off;
        const ClassTarget sharp{options.ignore_index, 0, 1, true};
        divisor = sum(sharp.distribution(rows, labels).first * options.weight).item<double>();
      }
    }
    loss = cross_entropy_of(rows, q, divisor, options.reduction);
  }
  return single && !to_scalar ? squeeze(loss, 0) : loss;
}

Tensor nll_loss(const Arg& x, const Arg& target, const NllOptions& options) {
  const Scope scope("nll_loss", x.where());
  if (x->dim() != 2 || target->shape() != Shape{x->shape()[0]})
    fail("log_probability is " + to_string(x->shape()) + " and target is " + to_string(target->shape()) +
         "; they must be [N, C] and [N]");
  const Tensor labels = contiguous(target);
  const int64_t counted = count_classes(*x, labels, options.ignore_index);
  const ClassTarget classes{options.ignore_index, 0, 1, false};
  const Tensor loss = -sum(where(classes.distribution(*x, labels).first > 0, *x, 0), 1);
  if (options.reduction == LossReduction::none) return loss;
  return options.reduction == LossReduction::sum ? sum(loss) : sum(loss) / double(counted);
}

Tensor mse_loss(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss("mse_loss", formula::SquaredError{}, x, target, reduction);
}
Tensor l1_loss(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss("l1_loss", formula::AbsoluteError{}, x, target, reduction);
}
Tensor huber_loss(const Arg& x, const Arg& target, double delta, LossReduction reduction) {
  const Scope scope("huber_loss", x.where());
  if (!(delta > 0)) fail("delta must be positive, not " + std::to_string(delta));
  return elementwise_loss("huber_loss", formula::Huber{delta}, x, target, reduction);
}
Tensor smooth_l1_loss(const Arg& x, const Arg& target, double beta, LossReduction reduction) {
  const Scope scope("smooth_l1_loss", x.where());
  return huber_loss(x, target, beta, reduction) / beta;
}
Tensor binary_cross_entropy_with_logits(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss("binary_cross_entropy_with_logits", formula::BinaryCrossEntropy{}, x, target, reduction);
}
Tensor kl_div(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss("kl_div", formula::KlDivergence{}, x, target, reduction);
}

}  // namespace gradus
