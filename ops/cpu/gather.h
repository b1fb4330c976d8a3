#pragma once
// Reading and writing tensors of any strides and dtype in plain runs of one type.

#include <functional>

#include "ops/cpu/kernels.h"

namespace gradus::cpu {

/// How many elements kernels take at a time: small enough for several operands to stay in the L1 cache.
constexpr int64_t chunk = 2048;

/// Copies elements [begin, begin + n) of `x`, counted row by row, to `out`, converted to T (float, double or int64_t).
template <class T> void gather(const Tensor& x, int64_t begin, int64_t n, T* out);

/// Writes n values to elements [begin, begin + n) of `y`, converted to its dtype.
template <class T> void scatter(const T* values, const Tensor& y, int64_t begin, int64_t n);

/// The address of a tensor's first element.
template <class T> T* pointer(const Tensor& x) { return static_cast<T*>(x.storage()->data()) + x.offset(); }

/// Calls `kernel.operator()<T>(y)` with T float or double; for a bfloat16 y, on a float32 tensor that is then copied to
/// it.
template <class F> void compute_in_float(const Tensor& y, F&& kernel) {
  if (y.dtype() == float64) return kernel.template operator()<double>(y);
  if (y.dtype() == float32) return kernel.template operator()<float>(y);
  const Tensor result = Tensor::empty(y.shape(), float32);
  kernel.template operator()<float>(result);
  copy(result, y);
}

/// A tensor as a sequence of T: read in place where it lies as such, gathered into a buffer otherwise. What is repeated
/// along the leading dimensions, a row added to each row of a matrix, is gathered only once.
template <class T> class Reader {
 public:
  explicit Reader(const Tensor& x) : x_(&x) {
    if (x.is_contiguous() && x.dtype() == dtype_of<T>()) direct_ = pointer<const T>(x);
    else if (x.numel() > 4 * chunk) gather_repeated();
  }
  /// Elements [begin, begin + n), at most a chunk.
  const T* read(int64_t begin, int64_t n, T* buffer) const {
    if (direct_) return direct_ + (repeated_.defined() ? begin % period_ : begin);
    gather(*x_, begin, n, buffer);
    return buffer;
  }

 private:
  void gather_repeated() {
    const Tensor& x = *x_;
    period_ = x.numel();
    for (int i = 0; i < x.dim() && (x.shape()[i] == 1 || x.strides()[i] == 0); ++i) period_ /= x.shape()[i];
    if (period_ > x.numel() / 4) return;
    repeated_ = Tensor::empty({period_ + chunk}, dtype_of<T>());
    gather(x, 0, period_ + chunk, pointer<T>(repeated_));
    direct_ = pointer<const T>(repeated_);
  }

  const Tensor* x_;
  int64_t period_ = 0;
  Tensor repeated_;
  const T* direct_ = nullptr;
};

/// Gives numbers [begin, begin + n), at most a chunk, which it may put into the buffer.
template <class T> using ReadNumbers = std::function<const T*(int64_t begin, int64_t n, T* buffer)>;

/// The sum of the first n of them, times `scale`; see reduce.cpp.
template <class T> T sum_of(const ReadNumbers<T>& read, int64_t n, T scale);

}  // namespace gradus::cpu
