#include <limits>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

struct Sum {
  template <class T> static constexpr T identity = T(0);
  template <class A> static auto over(const A& x) { return x.sum(); }
  template <class A, class B> static auto combine(const A& a, const B& b) { return a + b; }
};
struct Maximum {
  template <class T> static constexpr T identity = std::numeric_limits<T>::has_infinity
                                                       ? -std::numeric_limits<T>::infinity()
                                                       : std::numeric_limits<T>::lowest();
  template <class A> static auto over(const A& x) { return x.template maxCoeff<Eigen::PropagateNaN>(); }
  template <class A, class B> static auto combine(const A& a, const B& b) { return maximum(a, b); }
};
struct Minimum {
  template <class T> static constexpr T identity = std::numeric_limits<T>::has_infinity
                                                       ? std::numeric_limits<T>::infinity()
                                                       : std::numeric_limits<T>::max();
  template <class A> static auto over(const A& x) { return x.template minCoeff<Eigen::PropagateNaN>(); }
  template <class A, class B> static auto combine(const A& a, const B& b) { return minimum(a, b); }
};

// The widest type in which partial results are combined.
template <class T> using Wide = std::conditional_t<std::is_same_v<T, float>, double, T>;

// So many elements of one long run are reduced on their own; fixed, so that rounding is, too.
constexpr int64_t block = 8192;

// Reduces n elements, from element `begin` on.
template <class R, class T, class Read> T reduce_run(const Read& read, int64_t begin, int64_t n, T scale) {
  using Lanes = Eigen::Array<T, 32, 1>;
  using Total = Eigen::Array<Wide<T>, 1, 1>;
  alignas(64) T buffer[chunk];
  Total total(R::template identity<Wide<T>>);
  for (int64_t i = 0; i < n; i += chunk) {
    const int64_t length = std::min(chunk, n - i), whole = length / Lanes::SizeAtCompileTime * Lanes::SizeAtCompileTime;
    const T* from = read(begin + i, length, buffer);
    Lanes lanes = Lanes::Constant(R::template identity<T>);
    for (int64_t j = 0; j < whole; j += Lanes::SizeAtCompileTime) {
      prefetch(from + j + 4096 / sizeof(T), Lanes::SizeAtCompileTime);
      lanes = R::combine(lanes, Eigen::Map<const Lanes>(from + j));
    }
    auto first = lanes.head(length - whole);
    first = R::combine(first, In<T>(from + whole, length - whole));
    total = R::combine(total, Total(Wide<T>(R::over(lanes)))).eval();
  }
  return T(total(0)) * scale;
}

// Reduces runs [begin, end) of n elements each.
template <class R, class T, class Read>
void reduce_runs(const Read& read, int64_t begin, int64_t end, int64_t n, T scale, T* out) {
  constexpr int64_t few = 64;  // of so few elements, runs are reduced one by one
  alignas(64) T buffer[few];
  for (; n > 0 && n <= few && begin < end; ++begin)
    out[begin] = T(R::over(In<T>(read(begin * n, n, buffer), n))) * scale;
  for (; begin < end; ++begin) out[begin] = reduce_run<R>(read, begin * n, n, scale);
}

// Reduces n elements; many of them in blocks on their own, and then what comes of these.
template <class R, class T, class Read> T reduce_all(const Read& read, int64_t n, T scale) {
  if (n <= 4 * parallel_grain) {
    T result;
    reduce_runs<R>(read, 0, 1, n, scale, &result);
    return result;
  }
  const int64_t blocks = n / block, rest = n % block;
  PooledVector<T> parts(size_t(blocks) + 1);
  parallel_for(blocks, 4,
               [&](int64_t begin, int64_t end) { reduce_runs<R>(read, begin, end, block, T(1), parts.data()); });
  parts.back() = reduce_run<R>(read, blocks * block, rest, T(1));
  const auto read_parts = [&](int64_t i, int64_t, T*) { return parts.data() + i; };
  return reduce_run<R>(read_parts, 0, blocks + 1, scale);
}

// Kept dimensions outside, reduced ones inside: each result is a run of n elements.
template <class R, class T> void reduce_rows(const Tensor& x, int64_t rows, int64_t n, double scale, T* out) {
  const Reader<T> reader(x);
  const auto read = [&](int64_t i, int64_t length, T* buffer) { return reader.read(i, length, buffer); };
  if (rows == 1) *out = reduce_all<R>(read, n, T(scale));
  else
    parallel_for(rows, grain_for(n),
                 [&](int64_t begin, int64_t end) { reduce_runs<R>(read, begin, end, n, T(scale), out); });
}

// Reduced dimensions outside, kept ones inside: rows are combined, a strip of columns at a time, wide enough to be read
// at the pace of the memory.
template <class R, class T> void reduce_columns(const T* x, int64_t rows, int64_t columns, double scale, T* out) {
  constexpr int64_t strip = 1024, together = 64;
  const auto reduce_part = [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += strip) {
      const int64_t width = std::min(strip, end - first);
      const auto at = [&](int64_t row) { return In<T>(x + row * columns + first, width); };
      Eigen::Array<T, Eigen::Dynamic, 1, 0, strip, 1> part(width), total(width);
      total = R::template identity<T>;
      for (int64_t row = 0; row < rows; row += together) {
        const int64_t last = std::min(rows, row + together);
        part = at(row);
        int64_t r = row + 1;
        for (; r + 4 <= last; r += 4)
          part = R::combine(part, R::combine(R::combine(at(r), at(r + 1)), R::combine(at(r + 2), at(r + 3))));
        for (; r < last; ++r) part = R::combine(part, at(r));
        total = R::combine(total, part);
      }
      Out<T>(out + first, width) = total * T(scale);
    }
  };
  parallel_for(columns, grain_for(rows), reduce_part, 64);
}

template <class R, class T> void reduce_as(const Tensor& x, unsigned dims, double scale, T* out) {
  int64_t rows = 1, n = 1;
  for (int i = 0; i < x.dim(); ++i) (dims >> i & 1 ? n : rows) *= x.shape()[i];
  const unsigned all = (1u << x.dim()) - 1, kept_dims = all & ~dims;
  if ((kept_dims & (kept_dims + 1)) == 0) return reduce_rows<R>(x, rows, n, scale, out);  // the last ones
  if ((dims & (dims + 1)) == 0 && x.is_contiguous() && x.dtype() == dtype_of<T>())        // the first ones
    return reduce_columns<R>(pointer<const T>(x), n, rows, scale, out);
  Shape shape;
  Strides strides;
  for (const unsigned which : {kept_dims, dims})
    for (int i = 0; i < x.dim(); ++i)
      if (which >> i & 1) shape.push_back(x.shape()[i]), strides.push_back(x.strides()[i]);
  reduce_rows<R>(x.alias(shape, strides, x.offset()), rows, n, scale, out);
}

template <class R> void reduce_with(const Tensor& x, unsigned dims, double scale, const Tensor& y) {
  if (y.dtype() == float64) return reduce_as<R>(x, dims, scale, pointer<double>(y));
  if (y.dtype() == int64) return reduce_as<R>(x, dims, scale, pointer<int64_t>(y));
  if (y.dtype() == float32) return reduce_as<R>(x, dims, scale, pointer<float>(y));
  const Tensor as_float = Tensor::empty(y.shape(), float32);
  reduce_as<R>(x, dims, scale, pointer<float>(as_float));
  copy(as_float, y);
}

}  // namespace

template <class T> T sum_of(const ReadNumbers<T>& read, int64_t n, T scale) { return reduce_all<Sum>(read, n, scale); }
template float sum_of(const ReadNumbers<float>&, int64_t, float);
template double sum_of(const ReadNumbers<double>&, int64_t, double);

void reduce(Reduction reduction, const Tensor& x, unsigned dims, double scale, const Tensor& y) {
  if (reduction == Reduction::sum) reduce_with<Sum>(x, dims, scale, y);
  else if (reduction == Reduction::maximum) reduce_with<Maximum>(x, dims, scale, y);
  else reduce_with<Minimum>(x, dims, scale, y);
}

void arg_extreme(bool largest, const Tensor& x, int64_t n, const Tensor& y) {
  visit(x.dtype(), [&]<class T>() {
    const T* values = pointer<const T>(x);
    int64_t* out = pointer<int64_t>(y);
    parallel_for(y.numel(), grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* v = values + row * n;
        int64_t best = 0;
        for (int64_t i = 1; i < n && v[best] == v[best]; ++i)  // the first NaN wins
          if (v[i] != v[i] || (largest ? v[i] > v[best] : v[i] < v[best])) best = i;
        out[row] = best;
      }
    });
  });
}

}  // namespace gradus::cpu
