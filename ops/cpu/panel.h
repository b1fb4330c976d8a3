#pragma once
// The inside of matrix products: tiles of the result, as large as the registers hold.

#include <array>
#include <utility>

#include "ops/cpu/eigen.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {

/// A matrix in memory: element (i, j) is data[i * row + j * column].
template <class T> struct MatrixView {
  const T* data;
  int64_t row, column;
  MatrixView at(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
  MatrixView transposed() const { return {data, column, row}; }
};

/// Some columns of a product's right operand, [depth, width]: the numbers of a row side by side, the rows `step` apart.
template <class T> struct Panel {
  static constexpr int lanes = Eigen::internal::packet_traits<T>::size, width = 2 * lanes;
  static constexpr int most_rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 14 : 6;  // of a tile of the result
  int64_t depth;
  const T* data;
  int64_t step = width;

  /// y = x·this + added, the first n columns. x: [m, depth]; y: [m, n], rows `stride` apart; `added`: rows of n numbers
  /// that lie added_stride apart, or null. Each sum runs over the depth in order, whatever is around it.
  void multiply(int64_t m, int64_t n, MatrixView<T> x, const T* added, int64_t added_stride, T* y,
                int64_t stride) const {
    const int64_t tiles = divide_up(m, most_rows);  // of about the same number of rows
    for (int64_t i = 0, rows; i < tiles; ++i, x.data += rows * x.row, y += rows * stride) {
      rows = m / tiles + (i < m % tiles);
      const auto make_tile = tile_of_rows[size_t(rows - 1)];
      if (n == width) {
        make_tile(*this, x.data, x.row, x.column, added, added_stride, y, stride);
      } else {
        T whole[most_rows * width];
        make_tile(*this, x.data, x.row, x.column, nullptr, 0, whole, width);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t j = 0; j < n; ++j)
            y[r * stride + j] = added ? added[r * added_stride + j] + whole[r * width + j] : whole[r * width + j];
      }
      if (added) added += rows * added_stride;
    }
  }

 private:
  // Calls body(0), …, body(n − 1) with constants: compilers keep what these index in registers.
  template <int n, int i = 0, class F> static EIGEN_ALWAYS_INLINE void unroll(F&& body) {
    if constexpr (i < n) {
      body(std::integral_constant<int, i>());
      unroll<n, i + 1>(body);
    }
  }

  // Of `rows` rows and all columns: 2·rows·width operations for rows + width numbers read, all in the cache. No view of
  // x: one written number by number and then copied whole would make the processor wait, once a tile.
  template <int rows> static void tile(const Panel& panel, const T* x, int64_t x_row, int64_t x_column, const T* added,
                                       int64_t added_stride, T* y, int64_t stride) {
    using namespace Eigen::internal;
    using Packet = typename packet_traits<T>::type;
    Packet left[rows], right[rows];
    unroll<rows>([&](auto r) {
      prefetch(y + r * stride, width);
      left[r] = right[r] = pset1<Packet>(T(0));
    });
    const T* row = panel.data;
    for (int64_t i = 0; i < panel.depth; ++i, row += panel.step, x += x_column) {
      const Packet a = ploadu<Packet>(row), b = ploadu<Packet>(row + lanes);
      unroll<rows>([&](auto r) {
        const Packet factor = pset1<Packet>(x[r * x_row]);
        left[r] = pmadd(factor, a, left[r]);
        right[r] = pmadd(factor, b, right[r]);
      });
    }
    unroll<rows>([&](auto r) {
      const T* before = added ? added + r * added_stride : nullptr;
      pstoreu(y + r * stride, added ? padd(ploadu<Packet>(before), left[r]) : left[r]);
      pstoreu(y + r * stride + lanes, added ? padd(ploadu<Packet>(before + lanes), right[r]) : right[r]);
    });
  }
  static constexpr auto tile_of_rows = []<int... i>(std::integer_sequence<int, i...>) {
    return std::array{&tile<i + 1>...};
  }
  (std::make_integer_sequence<int, most_rows>());
};

}  // namespace gradus::cpu
