// Dropout with the same random numbers as on the CPU: element i takes word i % 4 of Philox' counter i / 4.

#include <array>

#include "cuda/reduce.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// A thread for each counter, whose four words are those of four neighbouring elements. A warp exchanges them, so that
// its lanes access neighbours: of the 128 elements, lane l has the (32 j + l)th, and needs word l % 4 of lane 8 j + l
// / 4.
template <class T>
__global__ void drop_elements(PerLaunch<GeneratorState> random, float p, T scale, int64_t count, Source x, Target y) {
  const GeneratorState state = random.get();
  for (int64_t first = warp_in_grid() * 128; first < count; first += warps_in_grid() * 128) {
    const std::array<uint32_t, 4> words = philox(state.seed, state.offset + uint64_t(first / 4 + lane()));
    for (int j = 0; j < 4; ++j) {
      uint32_t word = 0;
      for (int k = 0; k < 4; ++k) {
        const uint32_t kth = __shfl_sync(all_lanes, words[size_t(k)], 8 * j + lane() / 4);
        if (k == lane() % 4) word = kth;
      }
      if (const int64_t i = first + 32 * j + lane(); i < count)
        y.store(i, to_uniform(word) >= p ? x.load<T>(i) * scale : T(0));
    }
  }
}

}  // namespace

void dropout(const Tensor& x, double p, const PerLaunch<GeneratorState>& state, const Tensor& y) {
  const double scale = p < 1 ? 1 / (1 - p) : 0;
  visit_floating(y.dtype(), [&]<class, class T>() {
    launch_for((y.numel() + 3) / 4, y.device(), drop_elements<T>, state, float(p), T(scale), y.numel(), Source(x),
               Target(y));
  });
}

}  // namespace gradus::cuda
