// Dropout with the same random numbers as on the CPU: element i takes word i % 4 of Philox' counter i / 4.

#include <array>

#include "cuda/device.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// A thread for each counter, four elements.
template <class T>
__global__ void drop_elements(GeneratorState state, float p, T scale, int64_t count, Source x, Target y) {
  for (int64_t block = thread_in_grid(); block * 4 < count; block += threads_in_grid()) {
    const std::array<uint32_t, 4> words = philox(state.seed, state.offset + uint64_t(block));
    for (int j = 0; j < 4; ++j)
      if (const int64_t i = block * 4 + j; i < count)
        y.store(i, to_uniform(words[size_t(j)]) >= p ? x.load<T>(i) * scale : T(0));
  }
}

}  // namespace

void dropout(const Tensor& x, double p, GeneratorState state, const Tensor& y) {
  const double scale = p < 1 ? 1 / (1 - p) : 0;
  visit_floating(y.dtype(), [&]<class, class T>() {
    launch_for((y.numel() + 3) / 4, y.device(), drop_elements<T>, state, float(p), T(scale), y.numel(), Source(x),
               Target(y));
  });
}

}  // namespace gradus::cuda
