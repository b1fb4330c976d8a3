#pragma once
// Comparisons and truth values. No gradient flows through them.

#include "core/node.h"
#include "ops/map.h"

namespace gradus {
namespace formula {

struct Equal {
  static constexpr Info info{"eq"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a == b; }
};

struct NotEqual {
  static constexpr Info info{"ne"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a != b; }
};

struct Less {
  static constexpr Info info{"lt"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a < b; }
};

struct LessEqual {
  static constexpr Info info{"le"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a <= b; }
};

struct Greater {
  static constexpr Info info{"gt"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a > b; }
};

struct GreaterEqual {
  static constexpr Info info{"ge"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const { return a >= b; }
};

struct LogicalAnd {
  static constexpr Info info{"logical_and"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const {
    return a != number<T>(0) && b != number<T>(0);
  }
};

struct LogicalOr {
  static constexpr Info info{"logical_or"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const {
    return a != number<T>(0) || b != number<T>(0);
  }
};

struct LogicalXor {
  static constexpr Info info{"logical_xor"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& a, const T& b) const {
    return (a != number<T>(0)) != (b != number<T>(0));
  }
};

struct LogicalNot {
  static constexpr Info info{"logical_not"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return x == number<T>(0); }
};

struct IsNan {
  static constexpr Info info{"isnan"};
  static constexpr bool integers = true;
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& x) const { return x != x; }
};

struct IsInf {
  static constexpr Info info{"isinf"};
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return abs(x) == number<T>(std::numeric_limits<double>::infinity());
  }
};

struct IsFinite {
  static constexpr Info info{"isfinite"};
  static constexpr bool predicate = true;
  template <class T> GRADUS_FN auto forward(const T& x) const {
    return abs(x) < number<T>(std::numeric_limits<double>::infinity());
  }
};

using Comparisons = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, LogicalAnd, LogicalOr, LogicalXor,
                         LogicalNot, IsNan, IsInf, IsFinite>;

}  // namespace formula

/// Comparisons give a bool tensor: `x > 0`, `a == b`.
Tensor operator==(const Arg& a, const Arg& b);
Tensor operator!=(const Arg& a, const Arg& b);
Tensor operator<(const Arg& a, const Arg& b);
Tensor operator<=(const Arg& a, const Arg& b);
Tensor operator>(const Arg& a, const Arg& b);
Tensor operator>=(const Arg& a, const Arg& b);
/// Truth values combined; any number but 0 counts as true.
Tensor logical_and(const Arg& a, const Arg& b);
Tensor logical_or(const Arg& a, const Arg& b);
Tensor logical_xor(const Arg& a, const Arg& b);
Tensor logical_not(const Arg& x);
/// Where x is not a number, infinite, finite.
Tensor isnan(const Arg& x);
Tensor isinf(const Arg& x);
Tensor isfinite(const Arg& x);

}  // namespace gradus
