#pragma once
// The CPU kernel of every elementwise formula: an Eigen expression evaluated on a chunk at a time, chunks shared out
// over threads. One element is computed with plain scalars.

#include <array>

#include "ops/cpu/parallel.h"
#include "ops/cpu/writer.h"

namespace gradus::cpu {

/// Calls `run.operator()<T>()` with the type in which a formula computes for tensors of this dtype.
template <class Op, class F> void with_compute_type(Dtype dtype, F&& run) {
  if (dtype == float64) return run.template operator()<double>();
  if constexpr (for_integers<Op>)
    if (!is_floating_point(dtype)) return run.template operator()<int64_t>();
  run.template operator()<float>();
}

template <class T> T load_one(const Tensor& x) {
  if (x.dtype() == dtype_of<T>()) return *pointer<T>(x);
  return visit(x.dtype(), [&]<class S>() { return convert<T>(*pointer<S>(x)); });
}

template <class T> void store_one(const Tensor& y, T value) {
  if (y.dtype() == dtype_of<T>()) *pointer<T>(y) = value;
  else visit(y.dtype(), [&]<class S>() { *pointer<S>(y) = convert<S>(value); });
}

/// y = op.forward(x…). All x have y's shape, with any strides; y is contiguous.
template <class Op, size_t N> void map_forward(const Op& op, const std::array<const Tensor*, N>& x, const Tensor& y) {
  using Each = std::make_index_sequence<N>;
  const int64_t size = y.numel();
  with_compute_type<Op>(x[N - 1]->dtype(), [&]<class T>() {
    [&]<size_t... I>(std::index_sequence<I...>) {
      if (size == 1) {
        const auto value = op.forward(load_one<T>(*x[I])...);
        if constexpr (is_predicate<Op>) *pointer<bool>(y) = value;
        else store_one<T>(y, value);
        return;
      }
      const Reader<T> readers[] = {Reader<T>(*x[I])...};
      parallel_for(
          size, parallel_grain,
          [&](int64_t begin, int64_t end) {
            alignas(64) T buffers[N][chunk];
            const Writer<T> writer(y);
            for (int64_t i = begin; i < end; i += chunk) {
              const int64_t n = std::min(chunk, end - i);
              const auto value = op.forward(In<T>(readers[I].read(i, n, buffers[I]), n)...);
              if constexpr (is_predicate<Op>) Out<bool>(pointer<bool>(y) + i, n) = value;
              else writer.write(value, i, n);
            }
          },
          chunk);
    }
    (Each());
  });
}

/// y = the sum of op.forward(x…) over all elements, times `scale`, in one pass. All x have one shape, with any strides.
template <class Op, size_t N>
void map_sum(const Op& op, const std::array<const Tensor*, N>& x, double scale, const Tensor& y) {
  with_compute_type<Op>(y.dtype(), [&]<class T>() {
    [&]<size_t... I>(std::index_sequence<I...>) {
      if (x[0]->numel() == 1) return store_one<T>(y, op.forward(load_one<T>(*x[I])...) * T(scale));
      const Reader<T> readers[] = {Reader<T>(*x[I])...};
      const auto read = [&](int64_t begin, int64_t n, T* buffer) -> const T* {
        alignas(64) T buffers[N][chunk];
        Out<T>(buffer, n) = op.forward(In<T>(readers[I].read(begin, n, buffers[I]), n)...);
        return buffer;
      };
      store_one<T>(y, sum_of<T>(std::cref(read), x[0]->numel(), T(scale)));
    }
    (std::make_index_sequence<N>());
  });
}

}  // namespace gradus::cpu
