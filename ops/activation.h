#pragma once
// Activation functions.

#include "core/node.h"
#include "ops/map.h"

namespace gradus {
namespace formula {

struct Relu {
  static constexpr Info info{"relu"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return maximum(x, number<T>(0)); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const {
    return where(y > number<T>(0), dy, number<T>(0));
  }
};

struct LeakyRelu {
  static constexpr Info info{"leaky_relu"};
  double negative_slope = 0.01;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return where(x > number<T>(0), x, number<T>(negative_slope) * x);
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return where(x > number<T>(0), dy, number<T>(negative_slope) * dy);
  }
};

/// He et al., "Delving deep into rectifiers", 2015: the slope is learned.
struct Prelu {
  static constexpr Info info{"prelu"};
  template <class T> GRADUS_FN auto forward(const T& x, const T& slope) const {
    return where(x > number<T>(0), x, slope * x);
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const T& slope) const {
    return std::tuple(where(x > number<T>(0), dy, slope * dy), dy * minimum(x, number<T>(0)));
  }
};

/// Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015.
struct Elu {
  static constexpr Info info{"elu"};
  double alpha = 1;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return where(x > number<T>(0), x, number<T>(alpha) * expm1(minimum(x, number<T>(0))));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return where(x > number<T>(0), dy, dy * number<T>(alpha) * exp(minimum(x, number<T>(0))));
  }
};

/// Klambauer et al., "Self-normalizing neural networks", 2017.
struct Selu {
  static constexpr Info info{"selu"};
  static constexpr double alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return number<T>(scale) * where(x > number<T>(0), x, number<T>(alpha) * expm1(minimum(x, number<T>(0))));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return number<T>(scale) * where(x > number<T>(0), dy, dy * number<T>(alpha) * exp(minimum(x, number<T>(0))));
  }
};

struct Sigmoid {
  static constexpr Info info{"sigmoid"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return sigmoid(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const {
    return dy * y * (number<T>(1) - y);
  }
};

struct Tanh {
  static constexpr Info info{"tanh"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return tanh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const {
    return dy * (number<T>(1) - y * y);
  }
};

/// log(1 + exp(x)), written so that it does not overflow.
struct Softplus {
  static constexpr Info info{"softplus"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return maximum(x, number<T>(0)) + log1p(exp(-abs(x))); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * sigmoid(x); }
};

/// Hendrycks and Gimpel, "Gaussian error linear units", 2016: x times the normal distribution function at x.
struct Gelu {
  static constexpr Info info{"gelu"};
  static constexpr double sqrt_half = std::numbers::sqrt2 / 2;
  static constexpr double density = std::numbers::inv_sqrtpi * sqrt_half;  // of the normal distribution at 0
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return number<T>(0.5) * x * (number<T>(1) + erf(number<T>(sqrt_half) * x));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * (number<T>(0.5) * (number<T>(1) + erf(number<T>(sqrt_half) * x)) +
                 number<T>(density) * x * exp(number<T>(-0.5) * square(x)));
  }
};

/// The approximation of Gelu by a tanh, from the same paper.
struct GeluTanh {
  static constexpr Info info{"gelu_tanh"};
  static constexpr double scale = 2 * std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2, cubic = 0.044715;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return number<T>(0.5) * x *
           (number<T>(1) + tanh(number<T>(scale) * x * (number<T>(1) + number<T>(cubic) * square(x))));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    const auto t = tanh(number<T>(scale) * x * (number<T>(1) + number<T>(cubic) * square(x)));
    return dy * number<T>(0.5) *
           (number<T>(1) + t +
            (number<T>(1) - square(t)) * number<T>(scale) * x * (number<T>(1) + number<T>(3 * cubic) * square(x)));
  }
};

struct Silu {
  static constexpr Info info{"silu"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return x * sigmoid(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * sigmoid(x) * (number<T>(1) + x * (number<T>(1) - sigmoid(x)));
  }
};

/// Misra, "Mish: a self regularized non-monotonic activation function", 2019: x·tanh(softplus(x)).
struct Mish {
  static constexpr Info info{"mish"};
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return x * tanh(maximum(x, number<T>(0)) + log1p(exp(-abs(x))));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    const auto t = tanh(maximum(x, number<T>(0)) + log1p(exp(-abs(x))));
    return dy * (t + x * sigmoid(x) * (number<T>(1) - square(t)));
  }
};

/// Howard et al., "Searching for MobileNetV3", 2019: x·min(max(x + 3, 0), 6) / 6.
struct Hardswish {
  static constexpr Info info{"hardswish"};
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return x * minimum(maximum(x + number<T>(3), number<T>(0)), number<T>(6)) * number<T>(1. / 6);
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return where(x <= number<T>(-3), number<T>(0) * dy,
                 where(x >= number<T>(3), dy, dy * (x * number<T>(1. / 3) + number<T>(0.5))));
  }
};

/// Turian et al., "Quadratic features and deep architectures for chunking", 2009: x / (1 + |x|).
struct Softsign {
  static constexpr Info info{"softsign"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return x / (number<T>(1) + abs(x)); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy / square(number<T>(1) + abs(x));
  }
};

using Activations =
    List<Softsign, Relu, LeakyRelu, Prelu, Elu, Selu, Sigmoid, Tanh, Softplus, Gelu, GeluTanh, Silu, Mish, Hardswish>;

}  // namespace formula

/// max(x, 0)
Tensor relu(const Arg& x);
/// The gradient of y = relu(x) with respect to x, for operations that compute it on the way.
Tensor relu_backward(const Tensor& dy, const Tensor& y);
/// x where positive, negative_slope·x elsewhere
Tensor leaky_relu(const Arg& x, double negative_slope = 0.01);
/// x where positive, weight·x elsewhere. weight: [1], or [C] with one number for each channel of x: [N, C, …]
Tensor prelu(const Arg& x, const Tensor& weight);
/// x where positive, alpha·(eˣ − 1) elsewhere
Tensor elu(const Arg& x, double alpha = 1);
/// elu with the two constants that keep mean 0 and variance 1
Tensor selu(const Arg& x);
/// 1 / (1 + e⁻ˣ)
Tensor sigmoid(const Arg& x);
/// the hyperbolic tangent
Tensor tanh(const Arg& x);
/// log(1 + eˣ)
Tensor softplus(const Arg& x);
/// x·Φ(x), with the distribution function Φ of the normal distribution
Tensor gelu(const Arg& x);
/// gelu, approximated by a tanh
Tensor gelu_tanh(const Arg& x);
/// x / (1 + |x|)
Tensor softsign(const Arg& x);
/// x·sigmoid(x), also called swish
Tensor silu(const Arg& x);
/// x·tanh(softplus(x))
Tensor mish(const Arg& x);
/// x·min(max(x + 3, 0), 6) / 6
Tensor hardswish(const Arg& x);

}  // namespace gradus
