// Step 3: a block computes a tile of c from tiles of a and b, which its threads load together into shared memory.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"

namespace {

constexpr int tile = 32;

// A block of 32 × 32 threads, each for one element of the tile of c.
__global__ void multiply_shared_tile(int m, int n, int k, const float* a, const float* b, float* c) {
  __shared__ float a_tile[tile][tile], b_tile[tile][tile];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * tile + y, column = blockIdx.x * tile + x;
  float sum = 0;
  for (int first = 0; first < k; first += tile) {
    // Each thread loads one element of either tile; outside of the matrices these are zeros, which add nothing. Threads
    // outside of c load, too, and reach the barriers as all threads of a block must.
    a_tile[y][x] = row < m && first + x < k ? a[row * k + first + x] : 0;
    b_tile[y][x] = first + y < k && column < n ? b[(first + y) * n + column] : 0;
    __syncthreads();  // the tiles are complete
#pragma unroll
    for (int i = 0; i < tile; ++i) sum += a_tile[y][i] * b_tile[i][x];
    __syncthreads();  // nobody needs them any more
  }
  if (row < m && column < n) c[row * n + column] = sum;
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.n + tile - 1) / tile, blocks_y = (p.m + tile - 1) / tile;
  return gradus::cuda::launch(multiply_shared_tile, {.grid = {blocks_x, blocks_y}, .block = {tile, tile}}, p.m, p.n,
                              p.k, p.a, p.b, p.c);
}

// Of a pair of tiles: 32 multiply-adds by each thread for two tiles of floats.
constexpr double flop = 2. * tile * tile * tile, bytes = 2 * 4. * tile * tile;
// Of one multiply-add by each of 32 lanes: a_tile[y][i] is one word for all, b_tile[i][x] one of each bank.
constexpr double warp_flop = 2 * 32, wavefronts = 1 + 1;

}  // namespace

const Step shared_tile{
    .name = "3 shared tile",
    .explanation =
        R"(A block of 32 x 32 threads computes a tile of c. Together its threads copy a tile of a and a tile of b
to shared memory, wait at a barrier, and each reads its row and column there. Every float fetched from
global memory is used 32 times, so the arithmetic intensity is tile / 4 = 8 FLOP for each byte.
Now shared memory is the limit: still 2 loads for one multiply-add. A load by a warp takes the whole
shared memory of the multiprocessor for a clock, as long as no two lanes want different words of one bank.)",
    .global_intensity = flop / bytes,
    .shared_intensity = warp_flop / (wavefronts * wavefront_bytes),
    .run = run};
