// Step 2: a warp for each row; its lanes stand side by side and exchange results by shuffles.

#include "cuda/launch.h"
#include "examples/cuda_softmax/softmax.h"

namespace {

constexpr int warps = 4;  // in a block; they do not need each other
constexpr unsigned all_lanes = 0xffffffffu;

// After the exchange over a distance of 16 lanes there are 16 different results, after 8 there are 8, and in the end
// every lane has that of all 32. The order of the additions is fixed: so is the result, to the last bit.
__device__ float largest_of_warp(float value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(all_lanes, value, distance));
  return value;
}
__device__ float sum_of_warp(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(all_lanes, value, distance);
  return value;
}

// The lanes take columns lane, lane + 32, lane + 64 and so on: 32 neighbours at a time.
__global__ void softmax_warp_shuffle(int rows, int columns, const float* x, float* y) {
  const int lane = threadIdx.x % 32, row = blockIdx.x * warps + threadIdx.x / 32;
  if (row >= rows) return;  // all lanes of a warp or none: the shuffles wait for 32
  x += size_t(row) * columns;
  y += size_t(row) * columns;
  float largest = -INFINITY;
  for (int i = lane; i < columns; i += 32) largest = fmaxf(largest, x[i]);
  largest = largest_of_warp(largest);
  float sum = 0;
  for (int i = lane; i < columns; i += 32) sum += expf(x[i] - largest);
  sum = sum_of_warp(sum);
  for (int i = lane; i < columns; i += 32) y[i] = expf(x[i] - largest) / sum;
}

cudaError_t run(const Problem& p) {
  const unsigned blocks = (p.rows + warps - 1) / warps;
  return gradus::cuda::launch(softmax_warp_shuffle, {.grid = blocks, .block = warps * 32}, p.rows, p.columns, p.x, p.y);
}

}  // namespace

const Step warp_shuffle{
    .name = "2 warp shuffles",
    .explanation =
        R"(A warp for each row. Its lanes read 32 neighbouring floats at a time, 4 full sectors: the access is
coalesced. Each lane has the largest element and the sum of its own columns; by __shfl_xor_sync lanes read
each other's registers, and after 5 exchanges all 32 have the result, without shared memory or a barrier.
Best for many rows that are not long.)",
    .bytes = 4 * float_bytes,
    .run = run};
