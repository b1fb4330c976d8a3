#pragma once
// Exponentials, logarithms and roots.

#include "core/node.h"
#include "ops/map.h"

namespace gradus {
namespace formula {

struct Exp {
  static constexpr Info info{"exp"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return exp(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const { return dy * y; }
};

struct Expm1 {
  static constexpr Info info{"expm1"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return expm1(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const { return dy * (y + number<T>(1)); }
};

struct Log {
  static constexpr Info info{"log"};
  static constexpr double low = 0.1, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return log(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy / x; }
};

struct Log2 {
  static constexpr Info info{"log2"};
  static constexpr double low = 0.1, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return log(x) * number<T>(std::numbers::log2e); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * number<T>(std::numbers::log2e) / x;
  }
};

struct Log10 {
  static constexpr Info info{"log10"};
  static constexpr double low = 0.1, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return log(x) * number<T>(std::numbers::log10e); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * number<T>(std::numbers::log10e) / x;
  }
};

struct Log1p {
  static constexpr Info info{"log1p"};
  static constexpr double low = -0.5, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return log1p(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy / (number<T>(1) + x); }
};

struct Sqrt {
  static constexpr Info info{"sqrt"};
  static constexpr double low = 0.1, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return sqrt(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const { return dy * number<T>(0.5) / y; }
};

struct Rsqrt {
  static constexpr Info info{"rsqrt"};
  static constexpr double low = 0.1, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return rsqrt(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x, const Output<T>& y) const {
    return dy * number<T>(-0.5) * y / x;
  }
};

/// log(eᵃ + eᵇ), written so that it does not overflow.
struct Logaddexp {
  static constexpr Info info{"logaddexp"};
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const {
    return maximum(a, b) + log1p(exp(-abs(a - b)));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& a, const T& b) const {
    return std::tuple(dy * sigmoid(a - b), dy * sigmoid(b - a));
  }
};

/// The error function, 2/√π · ∫₀ˣ e^(−t²) dt.
struct Erf {
  static constexpr Info info{"erf"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return erf(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * number<T>(2 * std::numbers::inv_sqrtpi) * exp(-square(x));
  }
};

using Exponentials = List<Exp, Expm1, Log, Log2, Log10, Log1p, Sqrt, Rsqrt, Logaddexp, Erf>;

}  // namespace formula

/// eˣ
Tensor exp(const Arg& x);
/// eˣ − 1, accurate near 0
Tensor expm1(const Arg& x);
/// the natural logarithm
Tensor log(const Arg& x);
/// the logarithm to base 2
Tensor log2(const Arg& x);
/// the logarithm to base 10
Tensor log10(const Arg& x);
/// log(1 + x), accurate near 0
Tensor log1p(const Arg& x);
/// √x
Tensor sqrt(const Arg& x);
/// 1 / √x
Tensor rsqrt(const Arg& x);
/// log(eᵃ + eᵇ)
Tensor logaddexp(const Arg& a, const Arg& b);
/// the error function
Tensor erf(const Arg& x);

}  // namespace gradus
