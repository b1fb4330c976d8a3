#pragma once
// Matrix products.

#include "core/tensor.h"
#include "ops/cpu/panel.h"

namespace gradus::cpu {

/// y = a·b + added. a: [m, k]; b: [k, n]; y: [m, n], rows `stride` apart; `added`: rows of n numbers that lie
/// added_stride apart, or null. The sums of an element are made in an order that depends on k only, so that the product
/// of some of the rows and columns has the bits of the whole. T: float or double.
template <class T> void product(int64_t m, int64_t n, int64_t k, MatrixView<T> a, MatrixView<T> b, const T* added,
                                int64_t added_stride, T* y, int64_t stride);

/// A matrix [k, n] prepared for many products with it, such as one a step of a sequence.
template <class T> class Panels {
 public:
  Panels(MatrixView<T> b, int64_t k, int64_t n);
  /// y = x·this + added, with the arguments of product(). The sums run over k in one go.
  void product(int64_t m, MatrixView<T> x, const T* added, int64_t added_stride, T* y, int64_t stride) const;

 private:
  int64_t k_, n_;
  Tensor panels_;
};

}  // namespace gradus::cpu
