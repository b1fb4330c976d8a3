#pragma once
// Sharing work out over OpenMP's threads.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace gradus::cpu {

/// Elementwise work on fewer elements is not worth waking a thread for.
constexpr int64_t parallel_grain = 1 << 14;

/// Calls `body(begin, end)` on parts of [0, n), one a thread, as long as a thread gets at least about `grain`. Cuts are
/// made at multiples of `unit` only; results must not depend on where. `body` must not throw.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& body, int64_t unit = 1) {
  const int64_t threads = n < 2 * grain || omp_in_parallel() ? 1 : std::min<int64_t>(omp_get_max_threads(), n / grain);
  if (threads <= 1) {
    if (n > 0) body(int64_t(0), n);
    return;
  }
  const int64_t units = (n + unit - 1) / unit, share = (units + threads - 1) / threads * unit;
#pragma omp parallel for num_threads(int(threads)) schedule(static)
  for (int64_t t = 0; t < threads; ++t)
    if (t * share < n) body(t * share, std::min(n, (t + 1) * share));
}

}  // namespace gradus::cpu
