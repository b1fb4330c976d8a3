#pragma once
// Online softmax: the largest element and the sum of the exponentials in one pass. Used by steps 4 and 5.

#include <cuda_runtime.h>

// Of some elements: the largest so far, and Σ exp(element − largest). A larger one that comes later is no problem:
// exp(x − old) · exp(old − new) = exp(x − new) brings the sum up to date.
struct Partial {
  float largest = -INFINITY, sum = 0;

  // exp(largest − other), the factor for the sum; of nothing it is 0, where −∞ − −∞ would be NaN.
  __device__ float factor(float other) const { return largest == -INFINITY ? 0 : expf(largest - other); }

  __device__ void add(float x) {
    if (x > largest) {
      sum = sum * factor(x) + 1;
      largest = x;
    } else if (x > -INFINITY) {
      sum += expf(x - largest);
    } else if (x != x) {
      sum = x;  // NaN remains
    }
  }
};

// In whatever order parts are combined, the result is the same but for rounding: the reduction is like that of a sum.
__device__ inline Partial combine(const Partial& a, const Partial& b) {
  Partial result;
  result.largest = fmaxf(a.largest, b.largest);
  result.sum = a.sum * a.factor(result.largest) + b.sum * b.factor(result.largest);
  return result;
}

__device__ inline Partial combine_warp(Partial value) {
  constexpr unsigned all_lanes = 0xffffffffu;
  for (int distance = 16; distance > 0; distance /= 2) {
    Partial other;
    other.largest = __shfl_xor_sync(all_lanes, value.largest, distance);
    other.sum = __shfl_xor_sync(all_lanes, value.sum, distance);
    value = combine(value, other);
  }
  return value;
}

// Every thread gets the result of the block, which has `warps` warps; once in a kernel.
template <int warps> __device__ Partial combine_block(Partial value) {
  __shared__ float largest_of_warp[warps], sum_of_warp[warps];
  value = combine_warp(value);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (lane == 0) {
    largest_of_warp[warp] = value.largest;
    sum_of_warp[warp] = value.sum;
  }
  __syncthreads();
  Partial of_lane;
  if (lane < warps) {
    of_lane.largest = largest_of_warp[lane];
    of_lane.sum = sum_of_warp[lane];
  }
  return combine_warp(of_lane);
}
