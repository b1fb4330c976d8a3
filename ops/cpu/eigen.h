#pragma once
// Eigen, and the words of formulas (ops/formula.h) that it does not have. They stand beside Eigen's own functions,
// where a call with an Eigen expression finds them.

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

namespace Eigen {

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
template <class A> auto sigmoid(const ArrayBase<A>& a) { return a.derived().logistic(); }

}  // namespace Eigen

namespace gradus::cpu {

template <class T> using Array = Eigen::Array<T, Eigen::Dynamic, 1>;
template <class T> using In = Eigen::Map<const Array<T>>;
template <class T> using Out = Eigen::Map<Array<T>>;

}  // namespace gradus::cpu
