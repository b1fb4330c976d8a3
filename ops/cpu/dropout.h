#pragma once
// The random numbers of dropout.

#include <algorithm>

#include "core/random.h"

namespace gradus::cpu {

/// keep[j] = 0 if element first + j of a tensor is dropped, which has probability p, and 1 / (1 − p) otherwise.
template <class T> void dropout_factors(GeneratorState state, double p, uint64_t first, int64_t n, T* keep) {
  constexpr uint64_t block = 64;  // counters at a time: plain loops over many, which compilers turn into vectors
  const T scale = T(p < 1 ? 1 / (1 - p) : 0);
  const float threshold = float(p);
  uint32_t words[4 * block];
  for (uint64_t counter = first / 4, end = (first + uint64_t(n) + 3) / 4; counter < end; counter += block) {
    const uint64_t count = std::min(block, end - counter);
    for (uint64_t i = 0; i < count; ++i) {
      const std::array<uint32_t, 4> four = philox(state.seed, state.offset + counter + i);
      for (uint64_t j = 0; j < 4; ++j) words[4 * i + j] = four[j];
    }
    const uint64_t from = std::max(first, 4 * counter), to = std::min(first + uint64_t(n), 4 * (counter + count));
    for (uint64_t i = from; i < to; ++i)
      keep[i - first] = to_uniform(words[i - 4 * counter]) >= threshold ? scale : T(0);
  }
}

}  // namespace gradus::cpu
