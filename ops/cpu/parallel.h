#pragma once
// Sharing work out over OpenMP's threads.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace gradus::cpu {

inline int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

/// Elementwise work on fewer elements, or products of fewer multiplications, are not worth waking a thread for.
constexpr int64_t parallel_grain = 1 << 14, product_grain = 1 << 20;

/// How many pieces of `work` elements or multiplications each are worth it.
inline int64_t grain_for(int64_t work, int64_t grain = parallel_grain) {
  return std::max<int64_t>(1, grain / std::max<int64_t>(1, work));
}

/// Calls `body(begin, end)` on parts of [0, n), one a thread, as long as a thread gets at least about `grain`. Cuts are
/// made at multiples of `unit` only; results must not depend on where. `body` must not throw.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& body, int64_t unit = 1) {
  const int64_t threads = n < 2 * grain || omp_in_parallel() ? 1 : std::min<int64_t>(omp_get_max_threads(), n / grain);
  if (threads <= 1) {
    if (n > 0) body(int64_t(0), n);
    return;
  }
  const int64_t share = divide_up(divide_up(n, unit), threads) * unit;
#pragma omp parallel for num_threads(int(threads)) schedule(static)
  for (int64_t t = 0; t < threads; ++t)
    if (t * share < n) body(t * share, std::min(n, (t + 1) * share));
}

}  // namespace gradus::cpu
