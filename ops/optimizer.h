#pragma once
// The update rules of the optimisers, each one fused pass over a parameter. A rule is a formula like those of the
// elementwise operations, written once for Eigen arrays and plain scalars; `p` is the parameter, `g` its gradient, the
// rest is what the optimiser remembers about it. State that the settings do not ask for is never touched.

#include <array>

#include "core/cuda.h"
#include "core/tensor.h"
#include "ops/formula.h"

namespace gradus {
namespace formula {

/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's form.
struct SgdUpdate {
  static constexpr size_t states = 1;
  double lr, momentum, dampening, weight_decay;
  bool nesterov;
  bool first;  // there is no velocity yet
  template <class P, class G> GRADUS_FN void operator()(P& p, const G& g, P& velocity) const {
    const auto d = g + number<P>(weight_decay) * p;
    if (momentum == 0) {
      p -= number<P>(lr) * d;
      return;
    }
    velocity = number<P>(first ? 0 : momentum) * velocity + number<P>(first ? 1 : 1 - dampening) * d;
    if (nesterov) p -= number<P>(lr) * (d + number<P>(momentum) * velocity);
    else p -= number<P>(lr) * velocity;
  }
};

/// Kingma and Ba, "Adam: a method for stochastic optimization", 2015; Loshchilov and Hutter, "Decoupled weight decay
/// regularization", 2019; Reddi et al., "On the convergence of Adam and beyond", 2018 (amsgrad).
struct AdamUpdate {
  static constexpr size_t states = 3;
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // weight decay shrinks the parameter instead of adding to the gradient
  bool amsgrad;
  double correction1, correction2;  // 1 − βᵗ
  template <class P, class G>
  GRADUS_FN void operator()(P& p, const G& g, P& mean, P& mean_square, P& max_mean_square) const {
    const auto d = g + number<P>(decoupled ? 0 : weight_decay) * p;
    mean += number<P>(1 - beta1) * (d - mean);
    mean_square = number<P>(beta2) * mean_square + number<P>(1 - beta2) * square(d);
    if (amsgrad) {
      max_mean_square = maximum(max_mean_square, mean_square);
      move(p, mean, max_mean_square);
    } else {
      move(p, mean, mean_square);
    }
  }

 private:
  template <class P> GRADUS_FN void move(P& p, const P& mean, const P& mean_square) const {
    p = number<P>(decoupled ? 1 - lr * weight_decay : 1) * p -
        number<P>(lr / correction1) * mean / (sqrt(mean_square) * number<P>(1 / sqrt(correction2)) + number<P>(eps));
  }
};

/// Tieleman and Hinton, "RMSprop", lecture 6.5 of Neural Networks for Machine Learning, 2012; centred as in Graves,
/// "Generating sequences with recurrent neural networks", 2013.
struct RmspropUpdate {
  static constexpr size_t states = 3;
  double lr, alpha, eps, weight_decay, momentum;
  bool centered;
  template <class P, class G> GRADUS_FN void operator()(P& p, const G& g, P& mean_square, P& velocity, P& mean) const {
    const auto d = g + number<P>(weight_decay) * p;
    mean_square = number<P>(alpha) * mean_square + number<P>(1 - alpha) * square(d);
    if (centered) {
      mean += number<P>(1 - alpha) * (d - mean);
      move(p, d / (sqrt(maximum(mean_square - square(mean), number<P>(0))) + number<P>(eps)), velocity);
    } else {
      move(p, d / (sqrt(mean_square) + number<P>(eps)), velocity);
    }
  }

 private:
  template <class P, class D> GRADUS_FN void move(P& p, const D& direction, P& velocity) const {
    if (momentum == 0) {
      p -= number<P>(lr) * direction;
      return;
    }
    velocity = number<P>(momentum) * velocity + direction;
    p -= number<P>(lr) * velocity;
  }
};

/// Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", 2011.
struct AdagradUpdate {
  static constexpr size_t states = 1;
  double lr, eps, weight_decay;
  template <class P, class G> GRADUS_FN void operator()(P& p, const G& g, P& sum) const {
    const auto d = g + number<P>(weight_decay) * p;
    sum += square(d);
    p -= number<P>(lr) * d / (sqrt(sum) + number<P>(eps));
  }
};

}  // namespace formula

/// Changes `parameter` in place by one step of a rule. `grad` has its shape and dtype; both may have any strides.
/// `state`: contiguous tensors of the same shape, float64 for a float64 parameter and float32 for any other; those that
/// the rule does not touch may be undefined.
template <class Rule> void update(const cuda::PerLaunch<Rule>& rule, const Tensor& parameter, const Tensor& grad,
                                  const std::array<Tensor, Rule::states>& state);

}  // namespace gradus
