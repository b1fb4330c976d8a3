#pragma once
// Writing the results of Eigen expressions to tensors of any dtype, large ones past the caches.

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <bit>
#include <cstring>

#include "ops/cpu/eigen.h"
#include "ops/cpu/gather.h"

namespace gradus::cpu {

/// Results of so many bytes in float32 and float64 are written past the caches ("non-temporally"): they hardly fit
/// beside their operands, so that whoever reads them waits for the memory anyway. A plain store first loads the line
/// that it writes to; without that an operation moves two thirds of the bytes. Measured with 32 MiB of cache: plain
/// stores are faster for 4 MiB, slower from 8 MiB on. Lines that are written in parts take several times as long.
constexpr size_t streamed_bytes = 8 << 20;

#if defined __AVX512F__
using StreamedPart = __m512i;
inline void stream(StreamedPart* to, StreamedPart part) { _mm512_stream_si512(to, part); }
#elif defined __AVX__
using StreamedPart = __m256i;
inline void stream(StreamedPart* to, StreamedPart part) { _mm256_stream_si256(to, part); }
#elif defined __SSE2__
using StreamedPart = __m128i;
inline void stream(StreamedPart* to, StreamedPart part) { _mm_stream_si128(to, part); }
#endif

/// How Eigen assigns such a result, which begins at a cache line: Eigen::internal::assign_op with other stores.
template <class T> struct StreamOp : Eigen::internal::assign_op<T, T> {
  template <int alignment, class P> void assignPacket(T* to, const P& packet) const {
#ifdef __SSE2__
    if constexpr (sizeof(P) == sizeof(StreamedPart))
      return stream(reinterpret_cast<StreamedPart*>(to), std::bit_cast<StreamedPart>(packet));
#endif
    std::memcpy(to, &packet, sizeof(P));
  }
};

/// A contiguous tensor that is written piece by piece, each from an expression with elements of type T.
template <class T> class Writer {
 public:
  explicit Writer(const Tensor& y) : y_(&y) {
    if (!y.defined() || y.dtype() != dtype_of<T>()) return;
    direct_ = pointer<T>(y);
    streamed_ = size_t(y.numel()) * sizeof(T) >= streamed_bytes;
  }
  ~Writer() {
#ifdef __SSE2__
    if (streamed_) _mm_sfence();  // other threads see what was streamed before what comes next
#endif
  }
  /// Elements [begin, begin + n) = expression; at most a chunk, if the tensor is of another type than T.
  template <class E> void write(const E& expression, int64_t begin, int64_t n) const {
    if (streamed_ && fills_lines(direct_ + begin, n)) {
      Out<T> out(direct_ + begin, n);
      Eigen::internal::call_assignment_no_alias(out, expression, StreamOp<T>());
    } else if (direct_) {
      Out<T>(direct_ + begin, n) = expression;
    } else {
      alignas(64) T buffer[chunk];
      Out<T>(buffer, n) = expression;
      scatter(buffer, *y_, begin, n);
    }
  }

 private:
  static bool fills_lines(const T* to, int64_t n) {
    return (reinterpret_cast<uintptr_t>(to) | size_t(n) * sizeof(T)) % 64 == 0;
  }

  const Tensor* y_;
  T* direct_ = nullptr;
  bool streamed_ = false;
};

}  // namespace gradus::cpu

template <class T> struct Eigen::internal::functor_traits<gradus::cpu::StreamOp<T>> : functor_traits<assign_op<T, T>> {
};
