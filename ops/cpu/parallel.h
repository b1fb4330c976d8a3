#pragma once
// Sharing work out over OpenMP's threads.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace gradus::cpu {

/// Elementwise work below this many elements is not worth waking a thread for.
constexpr int64_t parallel_grain = 1 << 15;

/// Calls `body(begin, end)` on pieces of [0, n), each a multiple of `grain` long but the last. Results must not depend
/// on where the cuts are. `body` must not throw.
template <class F> void parallel_for(int64_t n, int64_t grain, F&& body) {
  const int64_t threads =
      n <= grain || omp_in_parallel() ? 1 : std::min<int64_t>(omp_get_max_threads(), (n + grain - 1) / grain);
  if (threads == 1) {
    if (n > 0) body(int64_t(0), n);
    return;
  }
  const int64_t pieces = (n + grain - 1) / grain, share = (pieces + threads - 1) / threads * grain;
#pragma omp parallel for num_threads(int(threads)) schedule(static)
  for (int64_t t = 0; t < threads; ++t)
    if (t * share < n) body(t * share, std::min(n, (t + 1) * share));
}

}  // namespace gradus::cpu
