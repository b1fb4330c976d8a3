#pragma once
// Reductions within a warp and a block, in an order that does not depend on timing.

#include "cuda/device.h"

namespace gradus::cuda {

constexpr unsigned all_lanes = 0xffffffffu;

struct Sum {
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
  template <class T> static __host__ __device__ T neutral() { return T(0); }
};
// NaN counts as the largest, and as the smallest.
struct Larger {
  template <class T> __device__ T operator()(T a, T b) const { return a > b || a != a ? a : b; }
  template <class T> static __host__ __device__ T neutral() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::lowest();
  }
};
struct Smaller {
  template <class T> __device__ T operator()(T a, T b) const { return a < b || a != a ? a : b; }
  template <class T> static __host__ __device__ T neutral() {
    return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  }
};

/// Every lane gets the result of the 32 of its warp.
template <class F, class T> __device__ T warp_reduce(T value, F f) {
  for (int distance = 16; distance > 0; distance /= 2) value = f(value, __shfl_xor_sync(all_lanes, value, distance));
  return value;
}

/// Every thread gets the result of its block, whose size is a multiple of 32. Begins and ends with a barrier.
template <class F, class T> __device__ T block_reduce(T value, F f) {
  __shared__ T of_warp[32];
  value = warp_reduce(value, f);
  const int warps = int(blockDim.x / 32);
  __syncthreads();  // before the results of an earlier call are overwritten
  if (lane() == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  return warp_reduce(lane() < warps ? of_warp[lane()] : F::template neutral<T>(), f);
}

/// The threads that share a row: a warp of them, or a block if rows are long. Row `first_row()` is the first that they
/// work on, the next one lies `row_step()` further.
struct Team {
  int size;
  __device__ int64_t first_row() const { return thread_in_grid() / size; }
  __device__ int64_t row_step() const { return threads_in_grid() / size; }
  __device__ int rank() const { return int(threadIdx.x) % size; }
  template <class F, class T> __device__ T reduce(T value, F f) const {
    return size == 32 ? warp_reduce(value, f) : block_reduce(value, f);
  }
};

/// For rows of n elements.
inline Team team_for(int64_t n) { return {n <= 1024 ? 32 : 256}; }

/// Runs `kernel(team, arguments...)` with a team for each of `rows` rows of n elements, at most.
template <class... Parameters, class... Arguments>
void launch_rows(int64_t rows, int64_t n, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const Team team = team_for(n);
  launch_for(rows * team.size, device, kernel, team, std::forward<Arguments>(arguments)...);
}

}  // namespace gradus::cuda
