#pragma once
// The vocabulary of formulas. An elementwise operation is a struct with a generic `forward` and `backward`; both are
// evaluated on Eigen array expressions (the SIMD kernel), on plain scalars (the CUDA kernel, and tensors of one
// element), on Tensor (recorded again: higher derivatives) and on Symbol (the printed formula).
//
// Structs that live in namespace gradus::formula call exp(x), maximum(a, b), where(c, a, b) … without further ado:
// the scalar functions are declared here, those of Eigen, Tensor and Symbol are found through their argument.
// Literals take the argument's scalar type: `number<T>(0.5) * x`. Never name an intermediate Eigen `Array`: expressions
// hold arrays by reference (naming an expression is fine).

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <tuple>
#include <type_traits>

#include "core/random.h"

namespace gradus {

class Tensor;
class Symbol;

/// A list of operations: what tests, documentation and kernels walk.
template <class... Op> struct List {};

/// Formulas that also make sense on int64 say `static constexpr bool integers = true`.
template <class Op> constexpr bool for_integers = requires { Op::integers; };
/// Formulas whose result is a truth value say `static constexpr bool predicate = true`.
template <class Op> constexpr bool is_predicate = requires { Op::predicate; };
/// The number of operands of a formula.
template <class Op> constexpr size_t arity = [] {
  if (requires(const Op op, float x) { op.forward(x); }) return 1;
  return requires(const Op op, float x) { op.forward(x, x); }
  ? 2 : 3;
}();

namespace formula {

using std::abs, std::exp, std::expm1, std::log, std::log1p, std::sqrt, std::pow, std::erf;
using std::asin, std::acos, std::atan, std::asinh, std::acosh, std::atanh;
using std::floor, std::ceil, std::rint;
using std::sin, std::cos, std::tan, std::sinh, std::cosh, std::tanh;

// The type of a formula's literals.
template <class T> struct Literal {
  using type = typename T::Scalar;  // Eigen
};
template <class T>
requires std::is_arithmetic_v<T>
struct Literal<T> {
  using type = T;
};
template <> struct Literal<Tensor> { using type = double; };
template <> struct Literal<Symbol> { using type = double; };
/// A constant of a formula, in the scalar type of its argument T.
template <class T> GRADUS_FN constexpr auto number(double value) {
  return static_cast<typename Literal<std::remove_cvref_t<T>>::type>(value);
}

/// The output of the forward, as a backward that wants it declares it: `backward(T dy, Output<T> y)`. A step keeps
/// alive what stands in the signature and is read by a gradient that is wanted.
template <class T> struct Output : T {
  explicit Output(const T& value) : T(value) {}
};
template <class T>
requires std::is_arithmetic_v<T>
struct Output<T> {
  T value;
  GRADUS_FN explicit Output(T v) : value(v) {}
  GRADUS_FN operator T() const { return value; }
};

template <class T>
concept Number = std::is_arithmetic_v<T>;

template <Number T> GRADUS_FN T maximum(T a, T b) { return a > b || a != a ? a : b; }
template <Number T> GRADUS_FN T minimum(T a, T b) { return a < b || a != a ? a : b; }
template <Number T> GRADUS_FN T where(bool condition, T a, T b) { return condition ? a : b; }
template <Number T> GRADUS_FN T square(T x) { return x * x; }
template <Number T> GRADUS_FN T rsqrt(T x) { return T(1) / sqrt(x); }
template <Number T> GRADUS_FN T sign(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;  // NaN and zeros stay
}
template <Number T> GRADUS_FN T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }
}  // namespace formula
}  // namespace gradus
