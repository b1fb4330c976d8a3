#include <algorithm>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/product.h"

namespace gradus::cpu {
namespace {

template <class T> using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

// A matrix in memory: element (i, j) is data[i * row + j * column]; one of the strides is 1.
template <class T> struct Matrix {
  const T* data;
  int64_t row, column, batch = 0;
  Matrix block(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
  Matrix item(int64_t i) const { return {data + i * batch, row, column}; }
};

// Up to this many multiplications, Eigen's blocking costs more than it gains; from this many, a second thread gains.
constexpr int64_t tiny = 2048, worth_a_thread = 1 << 20;

// Element by element, a vector of columns at a time where b's rows lie without gaps: b is copied so that they do where
// that pays, and a narrow result is made turned over, from the rows of aᵀ.
template <class T> void tiny_product(int64_t m, int64_t n, int64_t k, const Matrix<T> a, const Matrix<T> b,
                                     const T* bias, T* y, int64_t stride) {
  constexpr int width = 64 / sizeof(T);
  using Vector = Eigen::Array<T, width, 1>;
  T copy[tiny];
  if (b.column != 1 && n >= width && m > 1) {
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j) copy[l * n + j] = b.data[l * b.row + j * b.column];
    return tiny_product(m, n, k, a, Matrix<T>{copy, n, 1}, bias, y, stride);
  }
  if (k > 0 && n < width && m >= width && a.row == 1 && a.column != 1) {
    tiny_product<T>(n, m, k, {b.data, b.column, b.row}, {a.data, a.column, 1}, nullptr, copy, m);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) y[i * stride + j] = copy[j * m + i] + (bias ? bias[j] : T(0));
    return;
  }
  const int64_t vectors = b.column == 1 ? n / width * width : 0;               // columns taken so
  const int64_t dotted = a.column == 1 && b.row == 1 ? k / width * width : 0;  // terms of the others' sums
  for (int64_t i = 0; i < m; ++i, y += stride) {
    const T* row = a.data + i * a.row;
    for (int64_t j = 0; j < vectors; j += width) {
      Vector sum = bias ? Vector(Eigen::Map<const Vector>(bias + j)) : Vector::Zero();
      for (int64_t l = 0; l < k; ++l) sum += row[l * a.column] * Eigen::Map<const Vector>(b.data + l * b.row + j);
      Eigen::Map<Vector>(y + j) = sum;
    }
    const T* column = b.data + vectors * b.column;
    if (!dotted && n - vectors > k) {  // few terms: each is added to all columns
      for (int64_t j = vectors; j < n; ++j) y[j] = bias ? bias[j] : T(0);
      for (int64_t l = 0; l < k; ++l) {
        const T factor = row[l * a.column];
        const T* right = column + l * b.row;
        for (int64_t j = vectors; j < n; ++j, right += b.column) y[j] += factor * *right;
      }
      continue;
    }
    for (int64_t j = vectors; j < n; ++j, column += b.column) {
      T sum = bias ? bias[j] : T(0);
      if (dotted) {
        Vector sums = Vector::Zero();
        for (int64_t l = 0; l < dotted; l += width)
          sums += Eigen::Map<const Vector>(row + l) * Eigen::Map<const Vector>(column + l);
        sum += sums.sum();
      }
      const T *left = row + dotted * a.column, *right = column + dotted * b.row;
      for (int64_t l = dotted; l < k; ++l, left += a.column, right += b.row) sum += *left * *right;
      y[j] = sum;
    }
  }
}

template <class T, class F> void with_map(const Matrix<T>& x, int64_t rows, int64_t columns, F&& f) {
  using Stride = Eigen::OuterStride<>;
  if (x.column == 1) f(Eigen::Map<const Rows<T>, 0, Stride>(x.data, rows, columns, Stride(x.row)));
  else f(Eigen::Map<const Columns<T>, 0, Stride>(x.data, rows, columns, Stride(x.column)));
}

template <class T> void product(int64_t m, int64_t n, int64_t k, const Matrix<T>& a, const Matrix<T>& b, const T* bias,
                                T* y, int64_t stride) {
  if (m * n * k <= tiny) return tiny_product(m, n, k, a, b, bias, y, stride);
  for (int64_t i = 0; bias && i < m; ++i) std::copy_n(bias, n, y + i * stride);
  Eigen::Map<Rows<T>, 0, Eigen::OuterStride<>> out(y, m, n, Eigen::OuterStride<>(stride));
  with_map(a, m, k, [&](const auto& left) {
    with_map(b, k, n, [&](const auto& right) { bias ? add_product(left, right, out) : set_product(left, right, out); });
  });
}

// A product is cut into bands of columns or rows, one a thread. Eigen adds up each element in an order that depends
// only on its place within the register blocks (48 columns at most, 4 rows), so cuts at their multiples change no bit.
template <class T>
void product_in_bands(int64_t m, int64_t n, int64_t k, const Matrix<T>& a, const Matrix<T>& b, const T* bias, T* y) {
  if (m * n * k < 2 * worth_a_thread) return product(m, n, k, a, b, bias, y, n);
  const int64_t grain = std::max<int64_t>(1, worth_a_thread / std::max<int64_t>(1, m * n * k / std::max(m, n)));
  if (n >= m) {
    parallel_for(
        n, grain,
        [&](int64_t begin, int64_t end) {
          product(m, end - begin, k, a, b.block(0, begin), bias ? bias + begin : nullptr, y + begin, n);
        },
        48);
  } else {
    parallel_for(
        m, grain,
        [&](int64_t begin, int64_t end) { product(end - begin, n, k, a.block(begin, 0), b, bias, y + begin * n, n); },
        4);
  }
}

// x as a matrix or a stack of them; `copy` holds it if it has to be laid out anew.
template <class T> Matrix<T> matrix_of(const Tensor& tensor, bool transposed, Tensor& copy) {
  const int d = tensor.dim();
  const auto readable = [&] {
    const int64_t row = tensor.strides()[d - 2], column = tensor.strides()[d - 1];
    return tensor.dtype() == dtype_of<T>() && ((column == 1 && row > 0) || (row == 1 && column > 0));
  };
  if (!readable()) copy = compact(tensor, dtype_of<T>());
  const Tensor& x = copy.defined() ? copy : tensor;
  Matrix<T> matrix{pointer<const T>(x), x.strides()[d - 2], x.strides()[d - 1], d == 3 ? x.strides()[0] : 0};
  // The stride of a dimension of size 1 says nothing, and must not be mistaken for the gap between rows.
  if (matrix.column == 1 && x.shape()[d - 2] == 1) matrix.row = x.shape()[d - 1];
  else if (matrix.column != 1 && x.shape()[d - 1] == 1) matrix.column = x.shape()[d - 2];
  if (transposed) std::swap(matrix.row, matrix.column);
  return matrix;
}

}  // namespace

void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, const Tensor& y) {
  if (y.numel() == 0) return;
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const int d = y.dim();
    const int64_t m = y.shape()[d - 2], n = y.shape()[d - 1], k = a.shape()[transpose_a ? d - 2 : d - 1];
    const int64_t batch = d == 3 ? y.shape()[0] : 1;
    Tensor copy_a, copy_b;
    const Matrix<T> left = matrix_of<T>(a, transpose_a, copy_a), right = matrix_of<T>(b, transpose_b, copy_b);
    const Tensor added = bias.defined() ? compact(bias, dtype_of<T>()) : Tensor();
    const T* bias_values = bias.defined() ? pointer<const T>(added) : nullptr;
    T* out = pointer<T>(result);
    if (batch == 1) return product_in_bands(m, n, k, left, right, bias_values, out);
    parallel_for(batch, std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, m * n * k)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     product(m, n, k, left.item(i), right.item(i), bias_values, out + i * m * n, n);
                 });
  });
}

}  // namespace gradus::cpu
