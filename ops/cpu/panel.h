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
/// There may be only half as many columns, `lanes`, if no more are asked for.
template <class T> struct Panel {
  static constexpr int64_t lanes = cpu::lanes<T>, width = 2 * lanes;
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
      const auto make_tile = (n > lanes ? whole_tiles : half_tiles)[size_t(rows - 1)];
      if (n == width || n == lanes) {
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

  // Of `rows` rows and `registers` times `lanes` columns: 2·rows·columns operations for rows + columns numbers read,
  // all in the cache. No view of x: one written number by number and then copied whole would make the processor wait,
  // once a tile.
  template <int registers, int rows> static void tile(const Panel& panel, const T* x, int64_t x_row, int64_t x_column,
                                                      const T* added, int64_t added_stride, T* y, int64_t stride) {
    using namespace Eigen::internal;
    using Packet = PacketOf<T>;
    Packet sums[registers][rows];
    unroll<rows>([&](auto r) {
      prefetch(y + r * stride, registers * lanes);
      unroll<registers>([&](auto c) { sums[c][r] = pset1<Packet>(T(0)); });
    });
    const T *row = panel.data, *x5 = x + 5 * x_row, *x10 = x + 10 * x_row;  // 14 addresses in 7 registers
    for (int64_t i = 0; i < panel.depth; ++i, row += panel.step, x += x_column, x5 += x_column, x10 += x_column) {
      Packet columns[registers];
      unroll<registers>([&](auto c) { columns[c] = ploadu<Packet>(row + c * lanes); });
      unroll<rows>([&](auto r) {
        const Packet factor = pset1<Packet>((r < 5 ? x : r < 10 ? x5 : x10)[r % 5 * x_row]);
        unroll<registers>([&](auto c) { sums[c][r] = pmadd(factor, columns[c], sums[c][r]); });
      });
    }
    unroll<rows>([&](auto r) {
      unroll<registers>([&](auto c) {
        const int64_t column = c * lanes;
        const Packet& sum = sums[c][r];
        pstoreu(y + r * stride + column, added ? padd(ploadu<Packet>(added + r * added_stride + column), sum) : sum);
      });
    });
  }
  template <int registers, int... i> static constexpr auto tiles(std::integer_sequence<int, i...>) {
    return std::array{&tile<registers, i + 1>...};
  }
  using Rows = std::make_integer_sequence<int, most_rows>;
  static constexpr auto whole_tiles = tiles<2>(Rows()), half_tiles = tiles<1>(Rows());
};

}  // namespace gradus::cpu
