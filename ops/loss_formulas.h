#pragma once
// The formulas behind elementwise losses: x is the prediction, t the target. `loss`: the operation that averages them.

#include "core/node.h"
#include "ops/map.h"

namespace gradus::formula {

struct SquaredError {
  static constexpr Info info{"squared_error"}, loss{"mse_loss"};
  template <class T> GRADUS_FN auto forward(const T& x, const T& t) const { return square(x - t); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& t) const {
    return std::tuple(dy * number<T>(2) * (x - t), dy * number<T>(2) * (t - x));
  }
};

struct AbsoluteError {
  static constexpr Info info{"absolute_error"}, loss{"l1_loss"};
  template <class T> GRADUS_FN auto forward(const T& x, const T& t) const { return abs(x - t); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& t) const {
    return std::tuple(dy * sign(x - t), dy * sign(t - x));
  }
};

struct Huber {
  static constexpr Info info{"huber"}, loss{"huber_loss"};
  double delta = 1;
  template <class T> GRADUS_FN auto forward(const T& x, const T& t) const {
    return where(abs(x - t) <= number<T>(delta), number<T>(0.5) * square(x - t),
                 number<T>(delta) * (abs(x - t) - number<T>(delta / 2)));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& t) const {
    return std::tuple(dy * maximum(minimum(x - t, number<T>(delta)), number<T>(-delta)),
                      dy * maximum(minimum(t - x, number<T>(delta)), number<T>(-delta)));
  }
};

/// On logits: max(x, 0) − x·t + log(1 + e^(−|x|)).
struct BinaryCrossEntropy {
  static constexpr Info info{"binary_cross_entropy"}, loss{"binary_cross_entropy_with_logits"};
  template <class T> GRADUS_FN auto forward(const T& x, const T& t) const {
    return maximum(x, number<T>(0)) - x * t + log1p(exp(-abs(x)));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& t) const {
    return std::tuple(dy * (sigmoid(x) - t), -dy * x);
  }
};

/// t·(log t − x), with 0·log 0 = 0.
struct KlDivergence {
  static constexpr Info info{"kl_divergence"}, loss{"kl_div"};
  static constexpr double low = 0.1, high = 2;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x, const T& t) const {
    return where(t > number<T>(0), t * (log(where(t > number<T>(0), t, number<T>(1))) - x), number<T>(0) * x);
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& t) const {
    return std::tuple(-dy * t, dy * (log(where(t > number<T>(0), t, number<T>(1))) - x + number<T>(1)));
  }
};

using Losses = List<SquaredError, AbsoluteError, Huber, BinaryCrossEntropy, KlDivergence>;

}  // namespace gradus::formula
