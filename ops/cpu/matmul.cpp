#include "ops/cpu/matmul.h"

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

template <class T> using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

// A matrix in memory: element (i, j) is data[i * row + j * column]; one of the strides is 1.
template <class T> struct Matrix {
  const T* data;
  int64_t row, column;
  Matrix block(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
};

// Up to this many multiplications, Eigen's blocking costs more than it gains.
constexpr int64_t tiny = 2048;

template <class T, class F> void with_map(const Matrix<T>& x, int64_t rows, int64_t columns, F&& f) {
  using Stride = Eigen::OuterStride<>;
  if (x.column == 1) f(Eigen::Map<const Rows<T>, 0, Stride>(x.data, rows, columns, Stride(x.row)));
  else f(Eigen::Map<const Columns<T>, 0, Stride>(x.data, rows, columns, Stride(x.column)));
}

template <class T> void product(int64_t m, int64_t n, int64_t k, const Matrix<T>& a, const Matrix<T>& b, const T* bias,
                                T* y, int64_t stride) {
  Eigen::Map<Rows<T>, 0, Eigen::OuterStride<>> out(y, m, n, Eigen::OuterStride<>(stride));
  if (bias) out.rowwise() = Eigen::Map<const Eigen::Matrix<T, 1, Eigen::Dynamic>>(bias, n);
  with_map(a, m, k, [&](const auto& left) {
    with_map(b, k, n, [&](const auto& right) {
      if (m * n * k <= tiny) {
        if (bias) out += left.lazyProduct(right);
        else out = left.lazyProduct(right);
      } else {
        if (bias) out.noalias() += left * right;
        else out.noalias() = left * right;
      }
    });
  });
}

// A product is cut into bands of columns or rows, one a thread. Eigen adds up each element in an order that depends
// only on its place within the register blocks (48 columns at most, 4 rows), so cuts at their multiples change no bit.
template <class T>
void product_in_bands(int64_t m, int64_t n, int64_t k, const Matrix<T>& a, const Matrix<T>& b, const T* bias, T* y) {
  constexpr int64_t worth_a_thread = 1 << 20;  // multiplications
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

template <class T> Matrix<T> matrix_of(const Tensor& x, int64_t item) {
  const int d = x.dim();
  const int64_t offset = d == 3 ? item * x.strides()[0] : 0;
  Matrix<T> matrix{pointer<const T>(x) + offset, x.strides()[d - 2], x.strides()[d - 1]};
  // The stride of a dimension of size 1 says nothing, and must not be mistaken for the gap between rows.
  if (matrix.column == 1 && x.shape()[d - 2] == 1) matrix.row = x.shape()[d - 1];
  else if (matrix.column != 1 && x.shape()[d - 1] == 1) matrix.column = x.shape()[d - 2];
  return matrix;
}

template <class T> void matmul_as(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y) {
  const int d = y.dim();
  const int64_t m = y.shape()[d - 2], n = y.shape()[d - 1], k = a.shape().back(), batch = d == 3 ? y.shape()[0] : 1;
  if (y.numel() == 0) return;
  const T* bias_values = bias.defined() ? pointer<const T>(bias) : nullptr;
  if (batch == 1) return product_in_bands(m, n, k, matrix_of<T>(a, 0), matrix_of<T>(b, 0), bias_values, pointer<T>(y));
  parallel_for(batch, std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, m * n * k)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i)
                   product(m, n, k, matrix_of<T>(a, i), matrix_of<T>(b, i), bias_values, pointer<T>(y) + i * m * n, n);
               });
}

}  // namespace

void matmul(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) { matmul_as<T>(a, b, bias, result); });
}

}  // namespace gradus::cpu
