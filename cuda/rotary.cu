// Rotary positions: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.

#include "cuda/reduce.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// One thread for each element; three FLOPs. The table, [sine, cosine, sine, cosine, …] for the elements of one matrix,
// comes from the cache for all but the first of them. The other element of a pair, and the other of sine and cosine, is
// what the lane beside has.
template <class T>
__global__ void rotate_pairs(Source x, const double* table, int64_t table_size, T sign, int64_t count, Target y) {
  for (int64_t first = warp_in_grid() * 32; first < count; first += threads_in_grid()) {
    const int64_t i = first + lane();
    const bool exists = i < count, is_second = lane() % 2 == 1;
    const T mine = exists ? x.load<T>(i) : T(0), other = __shfl_xor_sync(all_lanes, mine, 1);
    const T entry = exists ? T(table[i % table_size]) : T(0), other_entry = __shfl_xor_sync(all_lanes, entry, 1);
    const T sine = sign * (is_second ? other_entry : entry), cosine = is_second ? entry : other_entry;
    if (exists) y.store(i, is_second ? other * sine + mine * cosine : mine * cosine - other * sine);
  }
}

}  // namespace

void rotary(const Tensor& x, const Tensor& table, bool inverse, const Tensor& y) {
  const auto run = [&]<class T>(T sign) {
    launch_for(x.numel(), x.device(), rotate_pairs<T>, Source(x), pointer<double>(table), table.numel(), sign,
               x.numel(), Target(y));
  };
  if (y.dtype() == float64) run(inverse ? -1. : 1.);
  else run(inverse ? -1.f : 1.f);
}

}  // namespace gradus::cuda
