// Step 4: each thread computes 8 × 8 elements of c, so what it loads from shared memory is used 8 times from registers.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"

namespace {

constexpr int tile = 128, depth = 8;  // a block: 128 × 128 elements of c, from 128 × 8 of a and 8 × 128 of b at a time
constexpr int part = 8, side = tile / part, threads = side * side;  // a thread: 8 × 8; a block: 16 × 16 threads

// A thread takes about 130 registers, so only one block of 256 threads fits on a multiprocessor with its 65,536.
__global__ void __launch_bounds__(threads)
    multiply_register_tile(int m, int n, int k, const float* a, const float* b, float* c) {
  __shared__ float a_tile[tile][depth], b_tile[depth][tile];
  const int thread = threadIdx.y * side + threadIdx.x;
  const int first_row = blockIdx.y * tile, first_column = blockIdx.x * tile;
  // Indices into these arrays are known when the loops are unrolled: only then are they registers.
  float sum[part][part] = {};
  for (int first = 0; first < k; first += depth) {
#pragma unroll
    for (int load = 0; load < tile * depth / threads; ++load) {
      const int i = load * threads + thread;
      const int row = first_row + i / depth, from_column = first + i % depth;
      a_tile[i / depth][i % depth] = row < m && from_column < k ? a[row * k + from_column] : 0;
      const int from_row = first + i / tile, column = first_column + i % tile;
      b_tile[i / tile][i % tile] = from_row < k && column < n ? b[from_row * n + column] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int p = 0; p < depth; ++p) {
      float a_part[part], b_part[part];
#pragma unroll
      for (int i = 0; i < part; ++i) a_part[i] = a_tile[threadIdx.y * part + i][p];
#pragma unroll
      for (int j = 0; j < part; ++j) b_part[j] = b_tile[p][threadIdx.x * part + j];
#pragma unroll
      for (int i = 0; i < part; ++i)
#pragma unroll
        for (int j = 0; j < part; ++j) sum[i][j] += a_part[i] * b_part[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < part; ++i)
#pragma unroll
    for (int j = 0; j < part; ++j) {
      const int row = first_row + threadIdx.y * part + i, column = first_column + threadIdx.x * part + j;
      if (row < m && column < n) c[row * n + column] = sum[i][j];
    }
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.n + tile - 1) / tile, blocks_y = (p.m + tile - 1) / tile;
  return gradus::cuda::launch(multiply_register_tile, {.grid = {blocks_x, blocks_y}, .block = {side, side}}, p.m, p.n,
                              p.k, p.a, p.b, p.c);
}

constexpr double flop = 2. * tile * tile * depth, bytes = 4. * depth * (tile + tile);
// Of a warp, 2 × 16 threads, for one p. Its two rows of a lie 8·8 floats apart, in the same bank: 2 wavefronts. Its 16
// columns of b lie 8 floats apart, in 4 banks: 4 wavefronts.
constexpr double warp_flop = 2. * 32 * part * part, wavefronts = part * 2 + part * 4;

}  // namespace

const Step register_tile{
    .name = "4 register tile",
    .explanation =
        R"(Each thread computes 8 x 8 elements of c in registers: for 64 multiply-adds it loads 8 + 8 floats from
shared memory instead of 128. 16 x 16 threads compute 128 x 128 elements of c, so each float fetched from
global memory is used 128 times: 32 FLOP for each byte. Fewer threads fit on a multiprocessor, as each has
over 64 registers for sums alone, but each has 64 independent sums to work on while it waits.
What is left: the columns of neighbouring threads lie 8 floats apart, so 16 threads want words of 4 banks,
which come one after another: a bank conflict. Likewise, neighbouring threads store to c 32 bytes apart.)",
    .global_intensity = flop / bytes,
    .shared_intensity = warp_flop / (wavefronts * wavefront_bytes),
    .run = run};
