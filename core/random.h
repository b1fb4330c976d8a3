#pragma once
// Random numbers that depend only on a seed and a position: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011). The same on every device and at any number of threads.

#include <array>
#include <cstdint>

#include "core/cuda.h"
#include "core/error.h"
#include "core/host_device.h"
#include "core/ref.h"

namespace gradus {

/// Four random 32-bit words for the given seed and counter.
GRADUS_FN constexpr std::array<uint32_t, 4> philox(uint64_t seed, uint64_t counter) {
  uint32_t c0 = uint32_t(counter), c1 = uint32_t(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xD2511F53) * c0, p1 = uint64_t(0xCD9E8D57) * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0, n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

/// A random word as a number in [0, 1) with 24 random bits.
GRADUS_FN constexpr float to_uniform(uint32_t word) { return float(word >> 8) * 0x1p-24f; }
/// Two random words as a number in [0, 1) with 53 random bits.
GRADUS_FN constexpr double to_uniform(uint32_t high, uint32_t low) {
  return double((uint64_t(high) << 32 | low) >> 11) * 0x1p-53;
}

/// All there is to a generator: the next counter to use, and the seed. Save it to resume exactly.
struct GeneratorState {
  uint64_t seed = 0;
  uint64_t offset = 0;
  bool operator==(const GeneratorState&) const = default;
};

class Generator;

namespace cuda {
/// Has each launch of the graph that is being recorded set counters aside anew, as many as the recorded step does.
/// Returns where the device finds the state that stands for `drawn`.
const GeneratorState* drawn_each_launch(Generator& generator, GeneratorState drawn);
}  // namespace cuda

/// A source of random numbers. Thread-safe: each caller gets counters of its own.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : state_{seed, 0} {}
  void manual_seed(uint64_t seed) { set_state({seed, 0}); }
  GeneratorState state() const {
    const SpinGuard guard(lock_);
    return state_;
  }
  void set_state(GeneratorState state) {
    const SpinGuard guard(lock_);
    state_ = state;
  }
  /// Sets `counters` counters aside for the caller; returns the seed and the first of them.
  GeneratorState reserve(uint64_t counters) {
    if (cuda::is_capturing()) fail("a CUDA graph would draw the same random numbers at each launch");
    return take(counters);
  }
  /// The same for what a device computes; recorded in a CUDA graph, it has other counters at each launch.
  cuda::PerLaunch<GeneratorState> reserve(uint64_t counters, Device device) {
    if (device.is_cpu() || !cuda::is_capturing()) return {reserve(counters)};
    const GeneratorState first = take(counters);
    return {first, cuda::drawn_each_launch(*this, first)};
  }

 private:
  GeneratorState take(uint64_t counters) {
    const SpinGuard guard(lock_);
    const GeneratorState first = state_;
    state_.offset += counters;
    return first;
  }

  mutable std::atomic_flag lock_;
  GeneratorState state_;
};

/// The generator that every function without one of its own uses.
inline Generator& default_generator() {
  static Generator generator;
  return generator;
}

/// Starts the default generator anew: the same seed gives the same numbers.
inline void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

}  // namespace gradus
