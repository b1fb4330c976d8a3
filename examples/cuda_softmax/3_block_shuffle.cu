// Step 3: a block for each row; its warps meet in shared memory.

#include "cuda/launch.h"
#include "examples/cuda_softmax/softmax.h"

namespace {

constexpr int threads = 256, warps = threads / 32;
constexpr unsigned all_lanes = 0xffffffffu;

struct Larger {
  static __device__ float neutral() { return -INFINITY; }
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Sum {
  static __device__ float neutral() { return 0; }
  __device__ float operator()(float a, float b) const { return a + b; }
};

template <class F> __device__ float reduce_warp(float value, F f) {
  for (int distance = 16; distance > 0; distance /= 2) value = f(value, __shfl_xor_sync(all_lanes, value, distance));
  return value;
}

// Every thread gets the result of the block: each warp leaves its own in shared memory, and all warps reduce these.
template <class F> __device__ float reduce_block(float value, F f) {
  __shared__ float of_warp[warps];  // one for each F
  value = reduce_warp(value, f);
  const int lane = threadIdx.x % 32;
  if (lane == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  return reduce_warp(lane < warps ? of_warp[lane] : F::neutral(), f);
}

// Threads that have no column of a short row take part in the reductions, with the neutral element.
__global__ void softmax_block_shuffle(int columns, const float* x, float* y) {
  x += size_t(blockIdx.x) * columns;
  y += size_t(blockIdx.x) * columns;
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < columns; i += threads) largest = fmaxf(largest, x[i]);
  largest = reduce_block(largest, Larger{});
  float sum = 0;
  for (int i = threadIdx.x; i < columns; i += threads) sum += expf(x[i] - largest);
  sum = reduce_block(sum, Sum{});
  for (int i = threadIdx.x; i < columns; i += threads) y[i] = expf(x[i] - largest) / sum;
}

cudaError_t run(const Problem& p) {
  return gradus::cuda::launch(softmax_block_shuffle, {.grid = unsigned(p.rows), .block = threads}, p.columns, p.x, p.y);
}

}  // namespace

const Step block_shuffle{
    .name = "3 block shuffles",
    .explanation =
        R"(A block of 256 threads for each row, for rows that are few and long: 8 warps read at once, and more
loads are under way while each takes its half a microsecond. Shuffles reach only within a warp; so each
warp leaves its result in shared memory, a barrier waits for all 8, and every warp reduces those once more.
The bytes are the same as before.)",
    .bytes = 4 * float_bytes,
    .run = run};
