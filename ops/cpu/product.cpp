#include "ops/cpu/product.h"

#include "ops/cpu/gather.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/transpose.h"

// Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008. A panel of b stays in the L1 cache
// while it is multiplied with a block of rows of a, and these stay in the L2 cache for all panels. b is copied into
// panels, which takes k·n numbers for m·k·n multiplications; with few rows or columns of a, it is read where it is, if
// it can be. So is a, whose rows or columns a tile reads as they lie, as long as they do not drive each other out.
namespace gradus::cpu {
namespace {

// Calls body(begin, size) for parts of [0, n) of about the same size: multiples of `unit`, at most `most`. An empty one
// is a part, too.
template <class F> void for_blocks(int64_t n, int64_t most, int64_t unit, F&& body) {
  const int64_t size = divide_up(divide_up(n, std::max<int64_t>(1, divide_up(n, most))), unit) * unit;
  int64_t begin = 0;
  do body(begin, std::min(size, n - begin));
  while ((begin += size) < n);
}

// Copies x [n, depth] into stacks of `width` rows: x(i, l) to to[(i / width · depth + l) · width + i % width], and
// zeros up to a whole register where the last stack has no row.
template <int64_t width, class T> void pack(MatrixView<T> x, int64_t n, int64_t depth, T* to) {
  using namespace Eigen::internal;
  using Packet = PacketOf<T>;
  constexpr int64_t lanes = cpu::lanes<T>;
  constexpr int64_t few = 8;  // columns of x are copied at a time; more would drive each other out of the cache
  for (int64_t begin = 0; begin < depth; begin += x.row == 1 ? few : depth)
    for (int64_t i = 0; i < n; i += width) {
      const int64_t rows = std::min(width, n - i), used = std::min(width, divide_up(rows, lanes) * lanes);
      const int64_t end = x.row == 1 ? std::min(begin + few, depth) : depth;
      const bool whole = x.row == 1 && n - i >= divide_up(width, lanes) * lanes;
      T* stack = to + i * depth;
      int64_t l = begin;
      // What packets have beyond the width is overwritten by the next column; the last one is left to the plain loop.
      for (; whole && l < end - (width % lanes != 0 && end == depth); ++l)
        for (int64_t j = 0; j < width; j += lanes)
          pstoreu(stack + l * width + j, ploadu<Packet>(x.data + i + j + l * x.column));
      if constexpr (width % lanes == 0)
        for (; x.column == 1 && l + lanes <= end; l += lanes)
          for (int64_t j = 0; j < used; j += lanes)
            transpose_square(x.data + (i + j) * x.row + l, x.row, std::min(rows - j, lanes), stack + l * width + j,
                             width);
      for (; l < end; ++l)
        for (int64_t j = 0; j < used; ++j)
          stack[l * width + j] = j < rows ? x.data[(i + j) * x.row + l * x.column] : T(0);
    }
}

}  // namespace

template <class T> void product(int64_t m, int64_t n, int64_t k, MatrixView<T> a, MatrixView<T> b, const T* added,
                                int64_t added_stride, T* y, int64_t stride) {
  using Panel = cpu::Panel<T>;
  constexpr int64_t width = Panel::width, tile_rows = Panel::most_rows;
  // A panel of 24 KiB with AVX2, rows of some 150 KiB, panels of 1.5 MiB: what the caches hold, from L1 to L3. With
  // AVX-512 twice that: a tile has 14 operations for each register that it reads of the panel, time for the L2 cache.
  constexpr int64_t block_depth = 384, block_rows = 16 * tile_rows, block_columns = 64 * width;
  // Rows 4 KiB apart share one set of the L1 cache, which holds 8 lines; 2 KiB apart, a few sets of the L2 cache.
  const auto collide = [](int64_t step, int64_t bytes) { return step * int64_t(sizeof(T)) % bytes == 0; };
  const bool copy_a = a.column == 1 ? tile_rows > 8 && collide(a.row, 4096) : a.row != 1 || collide(a.column, 2048);
  const bool copy_b = b.column != 1 || (m > 10 * tile_rows && k > 32);
  const int64_t deepest = std::min(k, block_depth), copied_columns = copy_b ? std::min(n, block_columns) : n % width;
  const int64_t panels_size = deepest * divide_up(copied_columns, width) * width;
  const int64_t stacks_size = copy_a ? deepest * std::min(divide_up(m, tile_rows) * tile_rows, block_rows) : 0;
  const Tensor memory = Tensor::empty({panels_size + stacks_size}, dtype_of<T>());
  T *panels = pointer<T>(memory), *stacks = panels + panels_size;
  for_blocks(k, block_depth, 1, [&](int64_t l, int64_t depth) {
    for_blocks(n, block_columns, width, [&](int64_t j, int64_t columns) {
      const int64_t in_place = copy_b ? 0 : columns / width * width;
      pack<width>(b.at(l, j + in_place).transposed(), columns - in_place, depth, panels);
      for_blocks(m, block_rows, tile_rows, [&](int64_t i, int64_t rows) {
        if (copy_a) pack<tile_rows>(a.at(i, l), rows, depth, stacks);
        const int64_t step = copy_a ? tile_rows : rows;
        for (int64_t c = j; c < j + columns; c += width) {
          const Panel panel = c < j + in_place ? Panel{depth, b.at(l, c).data, b.row}
                                               : Panel{depth, panels + (c - j - in_place) * depth};
          for (int64_t r = i; r < i + rows; r += step) {
            const MatrixView<T> x = copy_a ? MatrixView<T>{stacks + (r - i) * depth, 1, tile_rows} : a.at(r, l);
            T* to = y + r * stride + c;
            const T* before = l > 0 ? to : added ? added + r * added_stride + c : nullptr;
            panel.multiply(std::min(step, i + rows - r), std::min(width, j + columns - c), x, before,
                           l > 0 ? stride : added_stride, to, stride);
          }
        }
      });
    });
  });
}

template <class T> Panels<T>::Panels(MatrixView<T> b, int64_t k, int64_t n)
    : k_(k), n_(n), panels_(Tensor::empty({divide_up(n, Panel<T>::width) * Panel<T>::width * k}, dtype_of<T>())) {
  pack<Panel<T>::width>(b.transposed(), n, k, pointer<T>(panels_));
}

template <class T>
void Panels<T>::product(int64_t m, MatrixView<T> x, const T* added, int64_t added_stride, T* y, int64_t stride) const {
  constexpr int64_t width = Panel<T>::width;
  for (int64_t j = 0; j < n_; j += width)
    Panel<T>{k_, pointer<const T>(panels_) + j * k_}.multiply(m, std::min(width, n_ - j), x,
                                                              added ? added + j : nullptr, added_stride, y + j, stride);
}

template class Panels<float>;
template class Panels<double>;
template void product(int64_t, int64_t, int64_t, MatrixView<float>, MatrixView<float>, const float*, int64_t, float*,
                      int64_t);
template void product(int64_t, int64_t, int64_t, MatrixView<double>, MatrixView<double>, const double*, int64_t,
                      double*, int64_t);

}  // namespace gradus::cpu
