#include <algorithm>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/product.h"

namespace gradus::cpu {
namespace {

// Up to this many multiplications, dividing the operands into blocks costs more than it gains.
constexpr int64_t tiny = 8192;

// An outer product by rows, as the gradient of a weight is for a single example; other products by tiles where b's rows
// lie without gaps or several rows of a are worth copying it into panels, and what is left of the columns element by
// element. A narrow result without a bias, such as a weight's gradient, is made turned over, from the rows of aᵀ.
template <class T> void tiny_product(int64_t m, int64_t n, int64_t k, const MatrixView<T>& a, const MatrixView<T>& b,
                                     const T* bias, T* y) {
  using namespace Eigen::internal;
  using Panel = cpu::Panel<T>;
  using Packet = PacketOf<T>;
  if (k == 1 && b.column == 1 && !bias) {
    for (int64_t i = 0; i < m; ++i, y += n) {
      const T factor = a.data[i * a.row];
      int64_t j = 0;
      for (; j + lanes<T> <= n; j += lanes<T>) pstoreu(y + j, pmul(pset1<Packet>(factor), ploadu<Packet>(b.data + j)));
      for (; j < n; ++j) y[j] = factor * b.data[j];
    }
    return;
  }
  if (k > 0 && n < lanes<T> && m >= lanes<T> && a.row == 1 && a.column != 1 && !bias) {
    T turned[tiny];
    tiny_product<T>(n, m, k, b.transposed(), a.transposed(), nullptr, turned);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) *y++ = turned[j * m + i];
    return;
  }
  if (b.column != 1 && n >= lanes<T> && m > 1) return Panels<T>(b, k, n).product(m, a, bias, 0, y, n);
  const int64_t whole = b.column == 1 ? n / lanes<T> * lanes<T> : 0;
  for (int64_t j = 0; j < whole; j += Panel::width)
    Panel{k, b.data + j, b.row}.multiply(m, std::min(Panel::width, whole - j), a, bias ? bias + j : nullptr, 0, y + j,
                                         n);
  for (int64_t i = 0; i < m && whole < n; ++i)
    for (int64_t j = whole; j < n; ++j) {
      const T *left = a.at(i, 0).data, *right = b.at(0, j).data;
      Packet sums = pset1<Packet>(T(0));
      int64_t l = 0;
      for (; a.column == 1 && b.row == 1 && l + lanes<T> <= k; l += lanes<T>)
        sums = pmadd(ploadu<Packet>(left + l), ploadu<Packet>(right + l), sums);
      T sum = l > 0 ? predux(sums) : T(0);
      for (; l < k; ++l) sum += left[l * a.column] * right[l * b.row];
      y[i * n + j] = bias ? bias[j] + sum : sum;
    }
}

// y = matrix·x + bias, for one column or, turned over, one row. Eigen reads the matrix along its rows or its columns.
template <class T> void vector_product(int64_t n, int64_t k, const MatrixView<T>& matrix, const T* x, int64_t x_step,
                                       const T* bias, int64_t bias_step, T* y) {
  using namespace Eigen;
  const Tensor compact_x = x_step == 1 ? Tensor() : Tensor::empty({k}, dtype_of<T>());
  for (int64_t l = 0; x_step != 1 && l < k; ++l) pointer<T>(compact_x)[l] = x[l * x_step];
  for (int64_t i = 0; i < n; ++i) y[i] = bias ? bias[i * bias_step] : T(0);
  const Map<const VectorX<T>> in(x_step == 1 ? x : pointer<const T>(compact_x), k);
  Map<VectorX<T>> out(y, n);
  if (matrix.column == 1)
    out.noalias() += Map<const Matrix<T, Dynamic, Dynamic, RowMajor>, 0, OuterStride<>>(matrix.data, n, k,
                                                                                        OuterStride<>(matrix.row)) *
                     in;
  else out.noalias() += Map<const MatrixX<T>, 0, OuterStride<>>(matrix.data, n, k, OuterStride<>(matrix.column)) * in;
}

// y = a·b + bias, or its ReLU, cut into bands of columns or rows, one a thread. For one row or column, Eigen adds up an
// element in an order that depends on its place within packets only: cuts at multiples of them change no bit either.
template <class T> void large_product(int64_t m, int64_t n, int64_t k, const MatrixView<T>& a, const MatrixView<T>& b,
                                      const T* bias, bool relu, T* y) {
  const bool row = m == 1 && (b.row == 1 || b.column == 1), column = n == 1 && (a.row == 1 || a.column == 1);
  const auto band = [&](int64_t i, int64_t rows, int64_t j, int64_t columns) {
    const T* added = bias ? bias + j : nullptr;
    T* to = y + i * n + j;
    if (row) vector_product(columns, k, b.at(0, j).transposed(), a.data, a.column, added, 1, to);
    else if (column) vector_product(rows, k, a.at(i, 0), b.data, b.row, added, 0, to);
    else product(rows, columns, k, a.at(i, 0), b.at(0, j), added, 0, to, n);
    if (!relu) return;
    if (columns == n) return rectify(to, rows * n);
    for (int64_t r = 0; r < rows; ++r) rectify(to + r * n, columns);
  };
  const int64_t grain = grain_for(std::min(m, n) * k, product_grain);
  if (n >= m)
    parallel_for(
        n, grain, [&](int64_t begin, int64_t end) { band(0, m, begin, end - begin); }, Panel<T>::width);
  else
    parallel_for(
        m, grain, [&](int64_t begin, int64_t end) { band(begin, end - begin, 0, n); },
        column ? Panel<T>::width : Panel<T>::most_rows);
}

// The same for any size. Inline: beside a tiny product, a call more counts.
template <class T> EIGEN_ALWAYS_INLINE void matrix_product(int64_t m, int64_t n, int64_t k, const MatrixView<T>& a,
                                                           const MatrixView<T>& b, const T* bias, bool relu, T* y) {
  if (m * n * k > tiny) return large_product(m, n, k, a, b, bias, relu, y);
  tiny_product(m, n, k, a, b, bias, y);
  if (relu) rectify(y, m * n);
}

// matrix_product of two matrices, or of each pair of two stacks.
template <class T> void stack_product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                                      const T* bias, bool relu, const Tensor& y) {
  const int d = y.dim();
  const auto first_of = [d](const Tensor& x, bool transposed) {
    const MatrixView<T> matrix{pointer<const T>(x), x.strides()[d - 2], x.strides()[d - 1]};
    return transposed ? matrix.transposed() : matrix;
  };
  const MatrixView<T> left = first_of(a, transpose_a), right = first_of(b, transpose_b);
  const int64_t m = y.shape()[d - 2], n = y.shape()[d - 1], k = a.shape()[transpose_a ? d - 2 : d - 1];
  if (d == 2) return matrix_product(m, n, k, left, right, bias, relu, pointer<T>(y));
  parallel_for(y.shape()[0], grain_for(m * n * k, product_grain / 4), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      matrix_product(m, n, k, {left.data + i * a.strides()[0], left.row, left.column},
                     {right.data + i * b.strides()[0], right.row, right.column}, bias, relu, pointer<T>(y) + i * m * n);
  });
}

}  // namespace

void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, bool relu,
            const Tensor& y) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    constexpr Dtype type = dtype_of<T>();
    const bool has_bias = bias.defined();
    if (a.dtype() != type || b.dtype() != type || (has_bias && (bias.dtype() != type || !bias.is_contiguous())))
      return matmul(compact(a, type), transpose_a, compact(b, type), transpose_b, has_bias ? compact(bias, type) : bias,
                    relu, result);
    stack_product(a, transpose_a, b, transpose_b, has_bias ? pointer<const T>(bias) : nullptr, relu, result);
  });
}

}  // namespace gradus::cpu
