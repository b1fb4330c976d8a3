#pragma once
// Trigonometric and hyperbolic functions and their inverses (tanh stands with the activations).

#include "core/node.h"
#include "ops/map.h"

namespace gradus {
namespace formula {

struct Sin {
  static constexpr Info info{"sin"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return sin(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * cos(x); }
};

struct Cos {
  static constexpr Info info{"cos"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return cos(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return -dy * sin(x); }
};

struct Tan {
  static constexpr Info info{"tan"};
  static constexpr double low = -1, high = 1;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return tan(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const {
    return dy * (number<T>(1) + y * y);
  }
};

struct Asin {
  static constexpr Info info{"asin"};
  static constexpr double low = -0.8, high = 0.8;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return asin(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * rsqrt(number<T>(1) - square(x));
  }
};

struct Acos {
  static constexpr Info info{"acos"};
  static constexpr double low = -0.8, high = 0.8;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return acos(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return -dy * rsqrt(number<T>(1) - square(x));
  }
};

struct Atan {
  static constexpr Info info{"atan"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return atan(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy / (number<T>(1) + square(x)); }
};

struct Sinh {
  static constexpr Info info{"sinh"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return sinh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * cosh(x); }
};

struct Cosh {
  static constexpr Info info{"cosh"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return cosh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * sinh(x); }
};

struct Asinh {
  static constexpr Info info{"asinh"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return asinh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * rsqrt(square(x) + number<T>(1));
  }
};

struct Acosh {
  static constexpr Info info{"acosh"};
  static constexpr double low = 1.2, high = 3;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return acosh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * rsqrt(square(x) - number<T>(1));
  }
};

struct Atanh {
  static constexpr Info info{"atanh"};
  static constexpr double low = -0.8, high = 0.8;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return atanh(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy / (number<T>(1) - square(x)); }
};

using Trigonometric = List<Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh>;

}  // namespace formula

/// the sine of x (radians)
Tensor sin(const Arg& x);
/// the cosine of x (radians)
Tensor cos(const Arg& x);
/// the tangent of x (radians)
Tensor tan(const Arg& x);
/// the angle in [−π/2, π/2] whose sine is x
Tensor asin(const Arg& x);
/// the angle in [0, π] whose cosine is x
Tensor acos(const Arg& x);
/// the angle in (−π/2, π/2) whose tangent is x
Tensor atan(const Arg& x);
/// the hyperbolic sine
Tensor sinh(const Arg& x);
/// the hyperbolic cosine
Tensor cosh(const Arg& x);
/// the inverse of sinh
Tensor asinh(const Arg& x);
/// the inverse of cosh, for x ≥ 1
Tensor acosh(const Arg& x);
/// the inverse of tanh, for |x| < 1
Tensor atanh(const Arg& x);

}  // namespace gradus
