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

#ifdef EIGEN_VECTORIZE
// Exponentials that are 0 where those of Eigen's packets stop at the smallest normal numbers, even at −∞.
template <class T, class P> P zero_where_tiny(const P& x, const P& exponential) {
  const T least = T(std::log(std::numeric_limits<T>::min()));
  return pselect(pcmp_lt(x, pset1<P>(least)), pzero(x), exponential);
}
// e^x = 2^m·e^r as Eigen computes it (S. L. Moshier's Cephes library), in two thirds of the instructions: adding
// 1.5·2²³ rounds x/ln 2 to m and leaves m in the lowest bits, from where it is added to the exponent of e^r. AVX-512
// scales by 2^m itself, to 0 and ∞ where x is far enough; x is kept finite for r's sake, and NaN stays NaN.
template <class P> P exp_of_floats(const P& argument) {
  const auto times_plus = [](const P& a, const P& b, float c) { return pmadd(a, b, pset1<P>(c)); };
#ifdef EIGEN_VECTORIZE_AVX512
  const P x = _mm512_min_ps(pset1<P>(89), _mm512_max_ps(pset1<P>(-104), argument));
#else
  const P& x = argument;
#endif
  const P rounded = times_plus(x, pset1<P>(1.44269504f), 0x1.8p23f), m = psub(rounded, pset1<P>(0x1.8p23f));
  const P r = pmadd(m, pset1<P>(2.12194440e-4f), pmadd(m, pset1<P>(-0.693359375f), x));
  P power = times_plus(r, pset1<P>(1.98756915e-4f), 1.39819995e-3f);
  for (float c : {8.33345191e-3f, 4.16657959e-2f, 1.66666655e-1f, 5.00000012e-1f}) power = times_plus(power, r, c);
  power = pmadd(power, pmul(r, r), padd(r, pset1<P>(1)));
#ifdef EIGEN_VECTORIZE_AVX512
  return _mm512_scalef_ps(power, m);
#else
  using Bits = typename unpacket_traits<P>::integer_packet;
  const P result =
      preinterpret<P>(padd(preinterpret<Bits>(power), plogical_shift_left<23>(preinterpret<Bits>(rounded))));
  const P most = pset1<P>(88.7228317f);  // beyond it ∞; NaN stays NaN
  return zero_where_tiny<float>(x, pselect(pcmp_le(x, most), result, padd(x, pset1<P>(NumTraits<float>::infinity()))));
#endif
}
template <> template <> inline PacketOf<float> scalar_exp_op<float>::packetOp(const PacketOf<float>& x) const {
  return exp_of_floats(x);
}
template <> template <> inline PacketOf<double> scalar_exp_op<double>::packetOp(const PacketOf<double>& x) const {
  return zero_where_tiny<double>(x, pexp(x));
}
#endif

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
  return (typename A::Scalar(1) + (-a.derived()).exp()).inverse();
}

}  // namespace Eigen

namespace gradus::cpu {

template <class T> using Array = Eigen::Array<T, Eigen::Dynamic, 1>;
template <class T> using In = Eigen::Map<const Array<T>>;
template <class T> using Out = Eigen::Map<Array<T>>;

/// How many numbers a register holds.
template <class T> constexpr int64_t lanes = Eigen::internal::packet_traits<T>::size;

/// The largest of n numbers, NaN left out; −∞ of none. Eigen's maxCoeff() goes through the memory for the last steps.
template <class T> T largest_of(const T* x, int64_t n) {
  using namespace Eigen::internal;
  PacketOf<T> most = pset1<PacketOf<T>>(-std::numeric_limits<T>::infinity());
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) most = pmax(ploadu<PacketOf<T>>(x + i), most);
  T largest = predux_max(most);
  for (; i < n; ++i) largest = std::max(largest, x[i]);
  return largest;
}

/// Asks for n numbers that may be needed soon; whether they exist does not matter.
template <class T> void prefetch(const T* x, int64_t n) {
  for (int64_t i = 0; i < n; i += int64_t(64 / sizeof(T))) __builtin_prefetch(x + i);
}

/// Zeros in place of negative numbers; NaN stays.
template <class T> void rectify(T* values, int64_t n) {
  Out<T> all(values, n);
  all = maximum(all, T(0));
}

}  // namespace gradus::cpu
