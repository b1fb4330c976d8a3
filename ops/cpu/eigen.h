#pragma once
// Eigen, and the words of formulas (ops/formula.h) that it does not have. They stand beside Eigen's own functions,
// where a call with an Eigen expression finds them.

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

namespace Eigen {

// Eigen approximates the square roots of packets, and so makes NaN of infinity and 0 of the smallest numbers. These
// loops become the processor's own instructions.
namespace internal {
template <class T> using PacketOf = typename packet_traits<T>::type;
template <class T> PacketOf<T> exact_sqrt(const PacketOf<T>& packet) {
  alignas(64) T values[packet_traits<T>::size];
  pstore(values, packet);
  for (T& value : values) value = std::sqrt(value);
  return pload<PacketOf<T>>(values);
}
template <> template <> inline PacketOf<float> scalar_sqrt_op<float>::packetOp(const PacketOf<float>& x) const {
  return exact_sqrt<float>(x);
}
template <> template <> inline PacketOf<double> scalar_sqrt_op<double>::packetOp(const PacketOf<double>& x) const {
  return exact_sqrt<double>(x);
}

// Where Eigen's exponential of packets of AVX2 stops at the smallest numbers, even at −∞, this one goes on to 0.
template <class T, class P> P zero_where_tiny(const P& x, const P& exponential) {
  const T least = T(std::log(std::numeric_limits<T>::min()));
  return pselect(pcmp_lt(x, pset1<P>(least)), pzero(x), exponential);
}
template <> template <> inline PacketOf<float> scalar_exp_op<float>::packetOp(const PacketOf<float>& x) const {
  return zero_where_tiny<float>(x, pexp(x));
}
template <> template <> inline PacketOf<double> scalar_exp_op<double>::packetOp(const PacketOf<double>& x) const {
  return zero_where_tiny<double>(x, pexp(x));
}
template <class T> struct exact_logistic_op : scalar_logistic_op<T> {
  template <class P> P packetOp(const P& x) const { return zero_where_tiny<T>(x, scalar_logistic_op<T>::packetOp(x)); }
};
template <class T> struct functor_traits<exact_logistic_op<T>> : functor_traits<scalar_logistic_op<T>> {};

// Eigen's powers of −0 and −∞ lack the sign that odd exponents leave.
template <class T> struct signed_pow_op : binary_op_base<T, T> {
  using result_type = T;
  T operator()(const T& x, const T& exponent) const { return numext::pow(x, exponent); }
  template <class P> P packetOp(const P& x, const P& exponent) const {
    const P half = pmul(exponent, pset1<P>(T(0.5))), size = pabs(x);
    const P odd = pand(pcmp_eq(pfloor(exponent), exponent), pcmp_lt(pfloor(half), half));
    const P special = por(pcmp_eq(size, pzero(x)), pcmp_eq(size, pset1<P>(NumTraits<T>::infinity())));
    return por(generic_pow(x, exponent), pand(pand(x, pset1<P>(T(-0.))), pand(odd, special)));
  }
};
template <> struct scalar_pow_op<float, float> : signed_pow_op<float> {};
template <> struct scalar_pow_op<double, double> : signed_pow_op<double> {};
}  // namespace internal

// A NaN in either operand gives NaN.
template <class A> using LargerOf = internal::scalar_max_op<typename A::Scalar, typename A::Scalar, PropagateNaN>;
template <class A> using SmallerOf = internal::scalar_min_op<typename A::Scalar, typename A::Scalar, PropagateNaN>;

template <class A, class B> auto maximum(const ArrayBase<A>& a, const ArrayBase<B>& b) {
  return a.binaryExpr(b.derived(), LargerOf<A>());
}
template <class A> auto maximum(const ArrayBase<A>& a, typename A::Scalar b) {
  return a.binaryExpr(Array<typename A::Scalar, Dynamic, 1>::Constant(a.size(), b), LargerOf<A>());
}
template <class A, class B> auto minimum(const ArrayBase<A>& a, const ArrayBase<B>& b) {
  return a.binaryExpr(b.derived(), SmallerOf<A>());
}
template <class A> auto minimum(const ArrayBase<A>& a, typename A::Scalar b) {
  return a.binaryExpr(Array<typename A::Scalar, Dynamic, 1>::Constant(a.size(), b), SmallerOf<A>());
}
template <class C, class A, class B>
auto where(const ArrayBase<C>& condition, const ArrayBase<A>& a, const ArrayBase<B>& b) {
  return condition.derived().select(a.derived(), b.derived());
}
template <class C, class A> auto where(const ArrayBase<C>& condition, const ArrayBase<A>& a, typename A::Scalar b) {
  return condition.derived().select(a.derived(), b);
}
template <class C, class B> auto where(const ArrayBase<C>& condition, typename B::Scalar a, const ArrayBase<B>& b) {
  return condition.derived().select(a, b.derived());
}
template <class A> auto sigmoid(const ArrayBase<A>& a) {
  return a.derived().unaryExpr(internal::exact_logistic_op<typename A::Scalar>());
}

}  // namespace Eigen

namespace gradus::cpu {

template <class T> using Array = Eigen::Array<T, Eigen::Dynamic, 1>;
template <class T> using In = Eigen::Map<const Array<T>>;
template <class T> using Out = Eigen::Map<Array<T>>;

}  // namespace gradus::cpu
