#pragma once
// Arithmetic, rounding and choice.

#include "core/node.h"
#include "ops/map.h"

namespace gradus {
namespace formula {

struct Add {
  static constexpr Info info{"add"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a + b; }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return std::tuple(dy, dy); }
};

struct Subtract {
  static constexpr Info info{"sub"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a - b; }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return std::tuple(dy, -dy); }
};

struct Multiply {
  static constexpr Info info{"mul"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a * b; }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& a, const T& b) const {
    return std::tuple(dy * b, dy * a);
  }
};

struct Divide {
  static constexpr Info info{"div"};
  static constexpr double low = 0.5, high = 2;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a / b; }
  template <class T> GRADUS_FN auto backward(const T& dy, const T&, const T& b, const Output<T>& y) const {
    return std::tuple(dy / b, -dy * y / b);
  }
};

struct Negative {
  static constexpr Info info{"neg"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return -x; }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return -dy; }
};

struct Reciprocal {
  static constexpr Info info{"reciprocal"};
  static constexpr double low = 0.5, high = 2;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return number<T>(1) / x; }
  template <class T> GRADUS_FN auto backward(const T& dy, const Output<T>& y) const { return -dy * y * y; }
};

struct Square {
  static constexpr Info info{"square"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return square(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * number<T>(2) * x; }
};

struct Abs {
  static constexpr Info info{"abs"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return abs(x); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const { return dy * sign(x); }
};

/// −1, 0 or 1; its gradient is 0 wherever there is one.
struct Sign {
  static constexpr Info info{"sign"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return sign(x); }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return dy * number<T>(0); }
};

/// The gradient goes to the larger operand; in equal parts to both if they are equal.
struct Maximum {
  static constexpr Info info{"maximum"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return maximum(a, b); }
  template <class T> GRADUS_FN static auto share(const T& a, const T& b) {
    return number<T>(0.5) * (number<T>(1) + sign(a - b));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& a, const T& b) const {
    return std::tuple(dy * share(a, b), dy * share(b, a));
  }
};

struct Minimum {
  static constexpr Info info{"minimum"};
  static constexpr bool integers = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return minimum(a, b); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& a, const T& b) const {
    return std::tuple(dy * Maximum::share(b, a), dy * Maximum::share(a, b));
  }
};

struct Clamp {
  static constexpr Info info{"clamp"};
  double low_bound = -1, high_bound = 1;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return minimum(maximum(x, number<T>(low_bound)), number<T>(high_bound));
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return where(x >= number<T>(low_bound), where(x <= number<T>(high_bound), dy, number<T>(0) * dy),
                 number<T>(0) * dy);
  }
};

struct Where {
  static constexpr Info info{"where"};
  static constexpr bool integers = true;
  static constexpr bool condition_first = true;  // the first operand is a truth value
  template <class T> GRADUS_FN auto forward(const T& condition, const T& a, const T& b) const {
    return where(condition != number<T>(0), a, b);
  }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& condition, const T&, const T&) const {
    return std::tuple(number<T>(0) * dy, where(condition != number<T>(0), dy, number<T>(0)),
                      where(condition != number<T>(0), number<T>(0), dy));
  }
};

struct Pow {
  static constexpr Info info{"pow"};
  static constexpr double low = 0.5, high = 2;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return pow(a, b); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& a, const T& b, const Output<T>& y) const {
    return std::tuple(dy * b * pow(a, b - number<T>(1)), dy * y * log(where(a > number<T>(0), a, number<T>(1))));
  }
};

/// A tensor to the power of a number.
struct PowNumber {
  static constexpr Info info{"pow"};
  double exponent = 3;
  static constexpr double low = 0.5, high = 2;  // where the tests sample it
  template <class T> GRADUS_FN auto forward(const T& x) const { return pow(x, number<T>(exponent)); }
  template <class T> GRADUS_FN auto backward(const T& dy, const T& x) const {
    return dy * number<T>(exponent) * pow(x, number<T>(exponent - 1));
  }
};

struct Floor {
  static constexpr Info info{"floor"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return floor(x); }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return dy * number<T>(0); }
};

struct Ceil {
  static constexpr Info info{"ceil"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return ceil(x); }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return dy * number<T>(0); }
};

/// To the nearest integer, halves to the even one.
struct Round {
  static constexpr Info info{"round"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return rint(x); }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return dy * number<T>(0); }
};

struct Trunc {
  static constexpr Info info{"trunc"};
  template <class T> GRADUS_FN auto forward(const T& x) const { return where(x > number<T>(0), floor(x), ceil(x)); }
  template <class T> GRADUS_FN auto backward(const T& dy) const { return dy * number<T>(0); }
};

using Arithmetic = List<Add, Subtract, Multiply, Divide, Negative, Reciprocal, Square, Abs, Sign, Maximum, Minimum,
                        Clamp, Where, Pow, PowNumber, Floor, Ceil, Round, Trunc>;

}  // namespace formula

/// a + b
Tensor operator+(const Arg& a, const Arg& b);
/// a − b
Tensor operator-(const Arg& a, const Arg& b);
/// a·b, element by element
Tensor operator*(const Arg& a, const Arg& b);
/// a / b; integers are divided as floating-point numbers
Tensor operator/(const Arg& a, const Arg& b);
/// −x
Tensor operator-(const Arg& x);
/// 1 / x
Tensor reciprocal(const Arg& x);
/// x²
Tensor square(const Arg& x);
/// |x|
Tensor abs(const Arg& x);
/// −1, 0 or 1
Tensor sign(const Arg& x);
/// the larger of both; NaN if one is
Tensor maximum(const Arg& a, const Arg& b);
/// the smaller of both; NaN if one is
Tensor minimum(const Arg& a, const Arg& b);
/// x, but at least `low` and at most `high`
Tensor clamp(const Arg& x, double low, double high);
/// a where the condition (a bool tensor) holds, b elsewhere
Tensor where(const Arg& condition, const Arg& a, const Arg& b);
/// a to the power of b; NaN for negative a and fractional b
Tensor pow(const Arg& a, const Arg& b);
/// the largest integer ≤ x
Tensor floor(const Arg& x);
/// the smallest integer ≥ x
Tensor ceil(const Arg& x);
/// the nearest integer, halves to the even one
Tensor round(const Arg& x);
Tensor rint(const Arg& x);
/// the integer part
Tensor trunc(const Arg& x);

}  // namespace gradus
