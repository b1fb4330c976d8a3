#include <limits>

#include "ops/cpu/dropout.h"
#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace gradus::cpu {
namespace {

// Calls body(row, its elements) for each row of a [rows, n] tensor, shared out over threads.
template <class T, class F> void for_rows(const Tensor& x, F&& body) {
  const int64_t n = x.dim() ? x.shape().back() : 1, rows = n ? x.numel() / n : 0;
  const T* data = pointer<const T>(x);
  parallel_for(rows, grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      prefetch(data + (row + 1) * n, std::min(n, chunk));
      body(row, In<T>(data + row * n, n));
    }
  });
}

// Where a short row stands with −∞ behind it, up to whole registers, and its length with that: no number is left to
// loops that take one after the other. A long row stays where it is.
template <class T> std::pair<const T*, int64_t> padded(const In<T>& x, T* buffer) {
  using namespace Eigen::internal;
  const int64_t n = x.size(), full = n / lanes<T> * lanes<T>, whole = divide_up(n, lanes<T>) * lanes<T>;
  if (n == whole || whole > chunk) return {x.data(), n};
  for (int64_t i = 0; i < full; i += lanes<T>) pstore(buffer + i, ploadu<PacketOf<T>>(x.data() + i));
  pstore(buffer + full, pset1<PacketOf<T>>(-std::numeric_limits<T>::infinity()));
  std::copy(x.data() + full, x.data() + n, buffer + full);
  return {buffer, whole};
}

// The largest x, and log Σ exp(x − largest); 0 and −∞ for a row of −∞. Far from zero their sum, log Σ exp(x), has no
// digits left for the second, whereas x − largest is exact: (x − largest) − log Σ exp(x − largest).
template <class T> std::pair<T, T> log_sum_exp(const In<T>& row) {
  alignas(64) T buffer[chunk];
  const auto [data, n] = padded(row, buffer);
  const In<T> x(data, n);
  const T largest = largest_of(data, n);  // beside a NaN the sum will be one
  if (largest == -std::numeric_limits<T>::infinity()) return {T(0), x.sum()};
  return {largest, std::log((x - largest).exp().sum())};
}

// factor · softmax(x).
template <class T> void scaled_softmax(const In<T>& row, T factor, Out<T>& to) {
  alignas(64) T buffer[chunk];
  const auto [data, n] = padded(row, buffer);
  const In<T> x(data, n);
  Out<T> power(n == row.size() ? to.data() : buffer, n);
  power = (x - largest_of(data, n)).exp();
  to = power.head(row.size()) * (factor / power.sum());
}

}  // namespace

void softmax(bool log, const Tensor& x, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    for_rows<T>(compact(x, result.dtype()), [&](int64_t row, const In<T>& in) {
      Out<T> to(pointer<T>(result) + row * in.size(), in.size());
      if (!log) return scaled_softmax(in, T(1), to);
      const auto [largest, log_sum] = log_sum_exp(in);
      to = in - largest - log_sum;
    });
  });
}

void softmax_backward(bool log, const Tensor& dy, const Tensor& y, const Tensor& dx) {
  compute_in_float(dx, [&]<class T>(const Tensor& result) {
    const Tensor gradient = compact(dy, result.dtype()), output = compact(y, result.dtype());
    for_rows<T>(output, [&](int64_t row, const In<T>& p) {
      const In<T> g(pointer<const T>(gradient) + row * p.size(), p.size());
      Out<T> to(pointer<T>(result) + row * p.size(), p.size());
      if (log) to = g - p.exp() * g.sum();
      else to = p * (g - (g * p).sum());
    });
  });
}

void cross_entropy(const Tensor& logits, const CrossEntropyTarget& target, const Tensor& loss) {
  compute_in_float(loss, [&]<class T>(const Tensor& result) {
    T* out = pointer<T>(result);
    const T smoothing = T(target.smoothing);
    const int64_t* classes = pointer<const int64_t>(target.classes);
    for_rows<T>(compact(logits, result.dtype()), [&](int64_t row, const In<T>& x) {
      const int64_t label = classes[row];
      if (label == target.ignore_index) return void(out[row] = 0);
      const auto [largest, log_sum] = log_sum_exp(x);
      out[row] = log_sum - (T(1) - smoothing) * (x(label) - largest);
      if (smoothing != 0) out[row] -= smoothing * (x - largest).mean();
    });
  });
}

void cross_entropy_backward(const Tensor& grad, const Tensor& logits, const CrossEntropyTarget& target,
                            const Tensor& dx) {
  compute_in_float(dx, [&]<class T>(const Tensor& result) {
    const Tensor scale = compact(grad, result.dtype());
    const int64_t* classes = pointer<const int64_t>(target.classes);
    for_rows<T>(compact(logits, result.dtype()), [&](int64_t row, const In<T>& x) {
      Out<T> to(pointer<T>(result) + row * x.size(), x.size());
      const int64_t label = classes[row];
      if (label == target.ignore_index) return void(to.setZero());
      const T g = pointer<const T>(scale)[row], smoothing = T(target.smoothing);
      scaled_softmax(x, g, to);
      if (smoothing != 0) to -= g * smoothing / T(x.size());
      to(label) -= g * (T(1) - smoothing);
    });
  });
}

void dropout(const Tensor& x, double p, const cuda::PerLaunch<GeneratorState>& state, const Tensor& y) {
  compute_in_float(y, [&]<class T>(const Tensor& result) {
    const Reader<T> reader(x);
    T* out = pointer<T>(result);
    parallel_for(
        x.numel(), parallel_grain,
        [&](int64_t begin, int64_t end) {
          alignas(64) T buffer[chunk], keep[chunk];
          for (int64_t i = begin; i < end; i += chunk) {
            const int64_t n = std::min(chunk, end - i);
            const T* in = reader.read(i, n, buffer);
            dropout_factors(state.value, p, uint64_t(i), n, keep);
            for (int64_t j = 0; j < n; ++j) out[i + j] = keep[j] != 0 ? in[j] * keep[j] : T(0);
          }
        },
        chunk);
  });
}

}  // namespace gradus::cpu
