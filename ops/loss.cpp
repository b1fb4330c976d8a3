#include "ops/loss.h"

#include "core/cuda.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/kernels.h"
#include "ops/loss_formulas.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace gradus {

std::vector<Operation> loss_operations() { return describe(formula::Losses{}); }

namespace {

Tensor reduced(const Tensor& loss, LossReduction reduction) {
  if (reduction == LossReduction::none) return loss;
  if (reduction == LossReduction::batchmean) return sum(loss) / double(loss.size(0));
  return reduction == LossReduction::mean ? mean(loss) : sum(loss);
}

void require_same_shape(const Tensor& x, const Tensor& target) {
  if (x.shape() != target.shape())
    fail("x is " + to_string(x.shape()) + " and target is " + to_string(target.shape()) +
         "; both must have the same shape");
}

/// The sum of a formula of predictions and targets, divided by `count`, without a tensor of its values.
template <class F> struct ElementwiseLoss {
  static constexpr Info info = F::loss;
  F op;
  LossReduction reduction;
  double count;

  Tensor forward(const Tensor& x, const Tensor& target) const {
    const NoGrad off;
    if (!x.device().is_cpu()) return plain(x, target);
    const Tensor y = Tensor::empty({}, x.dtype());
    cpu::map_sum<F, 2>(op, {&x, &target}, 1 / count, y);
    return y;
  }
  auto backward(const Tensor& dy, const Tensor& x, const Tensor& target) const {
    return std::tuple([&] { return gradient<0>(dy, x, target); }, [&] { return gradient<1>(dy, x, target); });
  }
  template <size_t input> Tensor gradient(const Tensor& dy, const Tensor& x, const Tensor& target) const {
    const Tensor one = count == 1 ? dy : dy / count;
    if (grad_enabled()) return std::get<input>(detail::call_backward<F, 2>(op, expand(one, x.shape()), x, x, target));
    std::array<Tensor, 2> gradients;
    const std::array wanted{input == 0, input == 1};
    detail::map_backward<F, 2>(op, one.repeated(x.shape()), {x, target}, {}, wanted, gradients);
    return gradients[input];
  }
  Tensor plain(const Tensor& x, const Tensor& target) const { return reduced(map(op, x, target), reduction); }
  std::string formula(std::span<const std::string> names) const {
    const bool is_mean = reduction == LossReduction::mean;
    const Symbol sum = call(is_mean ? "mean" : "sum", Symbol(detail::map_formula<F, 2>(op, names)));
    return (is_mean || count == 1 ? sum : sum / Symbol(count)).text();
  }
  std::vector<std::string> gradient_formulas(std::span<const std::string> names, const std::string& y,
                                             const std::string& dy) const {
    const std::string each = count == 1 ? dy : dy + "/" + Symbol(count).text();
    return detail::map_gradient_formulas<F, 2>(op, names, y, each);
  }
};

template <class F> Tensor elementwise_loss(const F& formula, const Arg& x, const Arg& target, LossReduction reduction) {
  const Scope scope(F::loss.name, x.where());
  require_same_shape(*x, *target);
  if (reduction == LossReduction::none || !is_floating_point(x->dtype()) || x->dtype() != target->dtype() ||
      x->device() != target->device())
    return reduced(map(formula, x, target), reduction);
  const double count = reduction == LossReduction::mean        ? double(x->numel())
                       : reduction == LossReduction::batchmean ? double(x->size(0))
                                                               : 1;
  return apply(ElementwiseLoss<F>{formula, reduction, count}, *x, *target);
}

// What the fused operations below share: classes for rows of logits.
struct ClassTarget {
  int64_t ignore_index;
  double smoothing;
  double scale;  // 1 / the number of rows that count for a mean, 1 otherwise
  bool reduce;   // to a scalar; otherwise a loss a row

  kernel::CrossEntropyTarget kernel(const Tensor& classes) const { return {classes, ignore_index, smoothing}; }
  /// The distribution that the classes stand for, [N, C]; rows that do not count are 0.
  std::pair<Tensor, Tensor> distribution(const Tensor& logits, const Tensor& classes) const {
    const int64_t n = logits.shape().back();
    const Tensor label = unsqueeze(classes, 1), counts = to(label != double(ignore_index), logits.dtype());
    return {(to(label == arange(n, label.device()), logits.dtype()) * (1 - smoothing) + smoothing / double(n)) * counts,
            counts};
  }
};

struct CrossEntropyBackward : ClassTarget {
  static constexpr Info info{"cross_entropy_backward"};
  Tensor forward(const Tensor& dy, const Tensor& logits, const Tensor& classes) const {
    const NoGrad off;
    const Tensor dx = Tensor::empty(logits.shape(), logits.dtype(), logits.device());
    kernels(logits).cross_entropy_backward(expand(scale == 1 ? dy : dy * scale, classes.shape()), logits,
                                           kernel(classes), dx);
    return dx;
  }
  Tensor plain(const Tensor& dy, const Tensor& logits, const Tensor& classes) const {
    const auto [q, counts] = distribution(logits, classes);
    return (softmax(logits, 1) * counts - q) * (reduce ? dy * scale : unsqueeze(dy * scale, 1));
  }
  std::string formula(std::span<const std::string> names) const {
    const std::string target = smoothing == 0 ? "onehot(" + names[2] + ")" : "smoothed(onehot(" + names[2] + "))";
    const std::string rows = scale == 1 ? "" : "/" + Symbol(1 / scale).text();
    return "(softmax(" + names[1] + ") − " + target + ")·" + names[0] + rows;
  }
};

/// logits: [N, C], classes: [N].
struct CrossEntropy : ClassTarget {
  static constexpr Info info{"cross_entropy", "cross_entropy($0, $1)"};
  Tensor forward(const Tensor& logits, const Tensor& classes) const {
    const NoGrad off;
    const Tensor loss = Tensor::empty(classes.shape(), logits.dtype(), logits.device());
    kernels(logits).cross_entropy(logits, kernel(classes), loss);
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

// The shape of x: [N, C, d1, …] or [C] without the dimension of the classes.
Shape without_classes(const Tensor& x) {
  Shape shape = x.shape();
  if (x.dim() > 0) shape.erase(x.dim() > 1);
  return shape;
}

// The classes of x last, and all other dimensions merged: [N·d1·…, C].
Tensor as_rows(const Tensor& x) {
  if (x.dim() == 2) return x;
  Shape order{0};
  for (int i = 2; i < x.dim(); ++i) order.push_back(i);
  if (x.dim() > 1) order.push_back(1);
  return reshape(permute(x, order), {without_classes(x).numel(), x.size(order.back())});
}

Tensor reduced_rows(const Tensor& loss, LossReduction reduction, double divisor, const Shape& shape) {
  if (reduction == LossReduction::none) return reshape(loss, shape);
  return reduction == LossReduction::sum ? sum(loss) : sum(loss) / divisor;
}

void check_options(const Tensor& x, const Tensor& weight, LossReduction reduction) {
  const int64_t classes = x.size(x.dim() > 1);
  if (weight.defined() && weight.shape() != Shape{classes})
    fail("weight is " + to_string(weight.shape()) + "; one number for each of the " + std::to_string(classes) +
         " classes is needed");
  if (reduction == LossReduction::batchmean) fail("the reduction cannot be batchmean; it is for losses of elements");
}

// Checks the classes in target, which has no gaps, and returns what a mean divides by: how many are not ignored, or the
// sum of their weights.
double weigh_classes(const Tensor& target, int64_t classes, int64_t ignore_index, const Tensor& weight) {
  if (target.dtype() != int64) fail("the classes in target must be int64, not " + to_string(target.dtype()));
  const Tensor here = target.copied_to(Device::cpu());
  const int64_t* values = here.data<int64_t>();
  const std::vector<double> weights = weight.defined() ? weight.to_vector<double>() : std::vector<double>();
  double total = 0;
  for (int64_t i = 0; i < target.numel(); ++i) {
    if (values[i] == ignore_index) continue;
    if (values[i] < 0 || values[i] >= classes)
      fail("target" + (target.dim() ? to_string(coordinates(target.shape(), i)) : "") + " is " +
           std::to_string(values[i]) + ", but the classes go from 0 to " + std::to_string(classes - 1));
    total += weight.defined() ? weights[size_t(values[i])] : 1;
  }
  return total;
}

}  // namespace

Tensor cross_entropy(const Arg& logits, const Arg& target, const CrossEntropyOptions& options) {
  const Scope scope("cross_entropy", logits.where());
  const auto& [weight, ignore_index, smoothing, reduction] = options;
  const bool probabilities = is_floating_point(target->dtype());
  const Shape shape = without_classes(*logits);
  if (!is_floating_point(logits->dtype()) || logits->dim() < 1 ||
      target->shape() != (probabilities ? logits->shape() : shape))
    fail("logits are " + to_string(logits->shape()) + " and target is " + to_string(target->shape()) +
         "; logits must be [N, C, …] or [C], and target the same without C (classes) or with it (probabilities)");
  if (!(smoothing >= 0 && smoothing <= 1)) fail("label_smoothing must lie between 0 and 1");
  check_options(*logits, weight, reduction);

  const bool unread = cuda::is_capturing() && !probabilities && !weight.defined();
  if (unread && reduction == LossReduction::mean) {  // the device counts what is not ignored
    CrossEntropyOptions summed = options;
    summed.reduction = LossReduction::sum;
    return cross_entropy(logits, target, summed) * (1 / sum(to(*target != double(ignore_index), logits->dtype())));
  }
  const Tensor x = as_rows(*logits);
  const int64_t n = x.size(1);
  Tensor labels = contiguous(target);
  const double divisor = probabilities ? double(x.size(0))
                         : unread      ? 1
                                       : weigh_classes(labels, n, ignore_index, weight);
  labels = probabilities ? as_rows(labels) : reshape(labels, {x.size(0)});
  const ClassTarget classes{ignore_index, smoothing, reduction == LossReduction::mean ? 1 / divisor : 1,
                            reduction != LossReduction::none};
  if (!probabilities && !weight.defined()) {
    const Tensor loss = apply(CrossEntropy{classes}, x, labels);
    return classes.reduce ? loss : reshape(loss, shape);
  }
  Tensor q = probabilities ? labels * (1 - smoothing) + smoothing / double(n) : classes.distribution(x, labels).first;
  if (weight.defined()) q = q * weight;
  return reduced_rows(-sum(q * log_softmax(x, 1), 1), reduction, divisor, shape);
}

Tensor nll_loss(const Arg& log_probability, const Arg& target, const NllOptions& options) {
  const Scope scope("nll_loss", log_probability.where());
  const Shape shape = without_classes(*log_probability);
  if (log_probability->dim() < 1 || target->shape() != shape)
    fail("log_probability is " + to_string(log_probability->shape()) + " and target is " + to_string(target->shape()) +
         "; they must be [N, C, …] and [N, …], or [C] and []");
  check_options(*log_probability, options.weight, options.reduction);
  const Tensor x = as_rows(*log_probability), labels = contiguous(target);
  const double divisor = weigh_classes(labels, x.size(1), options.ignore_index, options.weight);
  const ClassTarget classes{options.ignore_index, 0, 1, false};
  const Tensor chosen = classes.distribution(x, reshape(labels, {x.size(0)})).first > 0;
  const Tensor loss = -sum(where(chosen, options.weight.defined() ? x * options.weight : x, 0), 1);
  return reduced_rows(loss, options.reduction, divisor, shape);
}

Tensor mse_loss(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss(formula::SquaredError{}, x, target, reduction);
}
Tensor l1_loss(const Arg& x, const Arg& target, LossReduction reduction) {
  return elementwise_loss(formula::AbsoluteError{}, x, target, reduction);
}
Tensor huber_loss(const Arg& x, const Arg& target, double delta, LossReduction reduction) {
  const Scope scope("huber_loss", x.where());
  if (!(delta > 0)) fail("delta must be positive, not " + std::to_string(delta));
  return elementwise_loss(formula::Huber{delta}, x, target, reduction);
}
Tensor smooth_l1_loss(const Arg& x, const Arg& target, double beta, LossReduction reduction) {
  const Scope scope("smooth_l1_loss", x.where());
  return huber_loss(x, target, beta, reduction) / beta;
}
Tensor binary_cross_entropy_with_logits(const Arg& x, const Arg& target, const BinaryCrossEntropyOptions& options) {
  const auto& [weight, pos_weight, reduction] = options;
  if (!weight.defined() && !pos_weight.defined())
    return elementwise_loss(formula::BinaryCrossEntropy{}, x, target, reduction);
  const Scope scope("binary_cross_entropy_with_logits", x.where());
  require_same_shape(*x, *target);
  const auto weighted = [&](const Tensor& loss, const Tensor& factor, const char* name) {
    const Tensor product = loss * factor;
    if (product.shape() != x->shape())
      fail("x is " + to_string(x->shape()) + " and " + name + " is " + to_string(factor.shape()) +
           "; it must broadcast to x");
    return product;
  };
  Tensor loss = map(formula::BinaryCrossEntropy{}, x, target);
  if (pos_weight.defined())  // softplus(−x) = −log σ(x)
    loss = loss + weighted(*target * softplus(-*x), pos_weight - 1, "pos_weight");
  if (weight.defined()) loss = weighted(loss, weight, "weight");
  return reduced(loss, reduction);
}
Tensor kl_div(const Arg& x, const Arg& target, LossReduction reduction, bool log_target) {
  if (!log_target) return elementwise_loss(formula::KlDivergence{}, x, target, reduction);
  const Scope scope("kl_div", x.where());
  require_same_shape(*x, *target);
  return reduced(exp(target) * (*target - *x), reduction);
}

}  // namespace gradus
