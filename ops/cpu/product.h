#pragma once
// Matrix products.

#include "core/tensor.h"
#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"

namespace gradus::cpu {

/// Where Eigen packs the operands of a product: memory of our own. What it takes from the system itself, for operands
/// that do not fit on the stack, is given back after each product and touched afresh at the next one, which took a
/// third of the time of a 256×256 product.
template <class T> class PackedOperands : public Eigen::internal::level3_blocking<T, T> {
 public:
  PackedOperands(Eigen::Index rows, Eigen::Index columns, Eigen::Index depth) {
    this->m_mc = columns, this->m_nc = rows, this->m_kc = depth;  // Eigen's results are column by column
    Eigen::internal::computeProductBlockingSizes<T, T>(this->m_kc, this->m_mc, this->m_nc, Eigen::Index(1));
    left_ = Tensor::empty({this->m_mc * this->m_kc}, dtype_of<T>());
    right_ = Tensor::empty({this->m_kc * this->m_nc}, dtype_of<T>());
    this->m_blockA = pointer<T>(left_), this->m_blockB = pointer<T>(right_);
  }

 private:
  Tensor left_, right_;
};

/// out += a · b, for maps of matrices in memory, or transposed ones; `out` lies row by row.
template <class A, class B, class Out> void add_product(const A& a, const B& b, Out&& out) {
  using T = typename A::Scalar;
  using namespace Eigen::internal;
  constexpr int order_a = A::IsRowMajor ? Eigen::RowMajor : Eigen::ColMajor;
  constexpr int order_b = B::IsRowMajor ? Eigen::RowMajor : Eigen::ColMajor;
  const bool on_stack = size_t(std::max(a.size(), b.size())) * sizeof(T) <= EIGEN_STACK_ALLOCATION_LIMIT;
  if (on_stack || out.rows() == 1 || out.cols() == 1) {  // Eigen has a better way for vectors
    out.noalias() += a * b;
    return;
  }
  PackedOperands<T> packed(out.rows(), out.cols(), a.cols());
  general_matrix_matrix_product<Eigen::Index, T, order_a, false, T, order_b, false, Eigen::RowMajor, 1>::run(
      out.rows(), out.cols(), a.cols(), a.data(), a.outerStride(), b.data(), b.outerStride(), out.data(), 1,
      out.outerStride(), T(1), packed);
}

/// out = a · b.
template <class A, class B, class Out> void set_product(const A& a, const B& b, Out&& out) {
  for (Eigen::Index i = 0; i < out.rows(); ++i)
    std::fill_n(out.data() + i * out.outerStride(), out.cols(), typename A::Scalar(0));
  add_product(a, b, out);
}

}  // namespace gradus::cpu
