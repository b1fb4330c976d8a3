#pragma once
// A matrix prepared for many products with it, such as one a step of a sequence.

#include "core/tensor.h"
#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"

namespace gradus::cpu {

/// A matrix [k, n], copied into panels of columns that are as wide as the registers hold; within a panel the columns of
/// one row lie together. The sums of a product run over k in order: its bits do not depend on the rows around it.
template <class T> class Panels {
  using Traits = Eigen::internal::packet_traits<T>;
  using Packet = typename Traits::type;
  static constexpr int lanes = Traits::size, width = 2 * lanes;
  // As many rows at a time as there are registers for, which then share what is read of a panel.
  static constexpr int most_rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;

 public:
  /// Element (i, j) of the matrix is data[i * row + j * column].
  Panels(const T* data, int64_t k, int64_t n, int64_t row, int64_t column)
      : k_(k),
        columns_((n + width - 1) / width * width),
        panels_(Tensor::empty({columns_ * k}, dtype_of<T>())),
        values_(pointer<T>(panels_)) {
    for (int64_t j = 0; j < columns_; ++j)
      for (int64_t i = 0; i < k; ++i)
        values_[(j / width * k + i) * width + j % width] = j < n ? data[i * row + j * column] : T(0);
  }

  /// The number of columns of a product: n rounded up to whole panels.
  int64_t columns() const { return columns_; }

  /// y = x·this, or y += x·this. x: [rows, k], its rows x_stride apart; y: [rows, columns()].
  void product(int64_t rows, const T* x, int64_t x_stride, bool add, T* y) const {
    for (int64_t column = 0; column < columns_; column += width) {
      const T* panel = values_ + column * k_;
      int64_t r = 0;
      for (; r + most_rows <= rows; r += most_rows)
        tile<most_rows>(panel, x + r * x_stride, x_stride, add, y + r * columns_ + column);
      for (; r < rows; ++r) tile<1>(panel, x + r * x_stride, x_stride, add, y + r * columns_ + column);
    }
  }

 private:
  template <int rows> void tile(const T* panel, const T* x, int64_t x_stride, bool add, T* y) const {
    using namespace Eigen::internal;
    Packet sum[rows][2];
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < 2; ++v) sum[r][v] = add ? ploadu<Packet>(y + r * columns_ + v * lanes) : pset1<Packet>(T(0));
    for (int64_t i = 0; i < k_; ++i, panel += width) {
      const Packet left = ploadu<Packet>(panel), right = ploadu<Packet>(panel + lanes);
      for (int r = 0; r < rows; ++r) {
        const Packet factor = pset1<Packet>(x[r * x_stride + i]);
        sum[r][0] = pmadd(factor, left, sum[r][0]);
        sum[r][1] = pmadd(factor, right, sum[r][1]);
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < 2; ++v) pstoreu(y + r * columns_ + v * lanes, sum[r][v]);
  }

  int64_t k_, columns_;
  Tensor panels_;
  T* values_;
};

}  // namespace gradus::cpu
