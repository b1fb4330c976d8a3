#pragma once
// How many threads the CPU kernels use.

namespace gradus {

/// Uses `count` threads for kernels whose work pays for it, from now on. The default is OpenMP's (all cores, or the
/// environment variable OMP_NUM_THREADS). Results do not depend on it.
void set_num_threads(int count);
int num_threads();

}  // namespace gradus
