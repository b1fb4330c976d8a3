// Rotary positions: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.

#include "cuda/device.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// One thread for each pair of elements; six FLOPs. The table, [sine, cosine, sine, cosine, …] for the elements of one
// matrix, comes from the cache for all but the first of them.
template <class T>
__global__ void rotate_pairs(Source x, const double* table, int64_t table_size, T sign, int64_t pairs, Target y) {
  for (int64_t pair = thread_in_grid(); pair < pairs; pair += threads_in_grid()) {
    const int64_t i = 2 * pair, at = i % table_size;
    const T sine = sign * T(table[at]), cosine = T(table[at + 1]);
    const T a = x.load<T>(i), b = x.load<T>(i + 1);
    y.store(i, a * cosine - b * sine);
    y.store(i + 1, a * sine + b * cosine);
  }
}

}  // namespace

void rotary(const Tensor& x, const Tensor& table, bool inverse, const Tensor& y) {
  const auto run = [&]<class T>(T sign) {
    launch_for(x.numel() / 2, x.device(), rotate_pairs<T>, Source(x), pointer<double>(table), table.numel(), sign,
               x.numel() / 2, Target(y));
  };
  if (y.dtype() == float64) run(inverse ? -1. : 1.);
  else run(inverse ? -1.f : 1.f);
}

}  // namespace gradus::cuda
