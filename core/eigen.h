#pragma once
// Tensors beside Eigen: copies in, views out. The only public header that includes Eigen.

#include <Eigen/Core>

#include "core/tensor.h"

namespace gradus {

/// A copy of an Eigen matrix or array, [rows, columns], or of a vector, [size].
template <class Derived> Tensor from_eigen(const Eigen::DenseBase<Derived>& source) {
  using T = typename Derived::Scalar;
  const Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = source.derived().array();
  if constexpr (Derived::IsVectorAtCompileTime) return Tensor::copy_of(rows.data(), {rows.size()});
  else return Tensor::copy_of(rows.data(), {rows.rows(), rows.cols()});
}

template <class T> using EigenView = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
                                                0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

/// A view of a matrix [rows, columns], or of a vector [size] as one column; any strides. It is valid as long as the
/// tensor's memory is. Fails if T is not the tensor's element type or the tensor has more than two dimensions.
template <class T> EigenView<T> as_eigen(const Tensor& x, Location where = Location::here()) {
  const Scope scope("as_eigen", where);
  if (x.dim() < 1 || x.dim() > 2)
    fail("x is " + to_string(x.shape()) + "; only vectors and matrices have a view in Eigen");
  const bool matrix = x.dim() == 2;
  return EigenView<T>(x.data<T>(), x.shape()[0], matrix ? x.shape()[1] : 1,
                      {x.strides()[0], matrix ? x.strides()[1] : 1});
}

}  // namespace gradus
