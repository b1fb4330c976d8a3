// Step 6: Tensor Cores multiply 16 × 16 matrices in half precision. Compiled by nvcc only; the emulator has none.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"
#ifdef __CUDACC__
#include <mma.h>
#endif

namespace {

constexpr int tile = 128, depth = 32, core = 16;             // a block: 128 × 128 elements of c, 32 products at a time
constexpr int warp_rows = 32, warp_columns = 64, warps = 8;  // a warp: 32 × 64 elements of c, 2 × 4 matrices

#ifdef __CUDACC__
namespace wmma = nvcuda::wmma;

constexpr int padding = 8;  // moves each line of a tile on by 4 banks

// Copies eight neighbours in a row of a matrix, zeros outside, to shared memory; at once if 16 bytes are aligned.
__device__ void copy_eight(const __half* matrix, int rows, int columns, int row, int column, __half* to) {
  const __half* from = matrix + row * columns + column;
  if (row < rows && columns % 8 == 0 && column < columns) {
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
  } else {
    for (int i = 0; i < 8; ++i) to[i] = row < rows && column + i < columns ? from[i] : __half(0.f);
  }
}

// Two blocks are to fit on a multiprocessor: with 256 threads each, that is at most 128 registers for a thread.
__global__ void __launch_bounds__(warps * 32, 2)
    multiply_tensor_cores(int m, int n, int k, const __half* a, const __half* b, float* c) {
  __shared__ __align__(32) __half a_tile[tile][depth + padding], b_tile[depth][tile + padding];
  __shared__ __align__(32) float results[warps][core][core];
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  const int first_row = blockIdx.y * tile, first_column = blockIdx.x * tile;
  const int row_in_tile = warp / (tile / warp_columns) * warp_rows;
  const int column_in_tile = warp % (tile / warp_columns) * warp_columns;

  // A fragment is a matrix of 16 × 16 spread over the registers of a warp. Which lane holds what is not specified.
  wmma::fragment<wmma::accumulator, core, core, core, float> sum[warp_rows / core][warp_columns / core];
#pragma unroll
  for (auto& row : sum)
#pragma unroll
    for (auto& matrix : row) wmma::fill_fragment(matrix, 0.f);

  for (int first = 0; first < k; first += depth) {
#pragma unroll
    for (int load = 0; load < tile * depth / (warps * 32 * 8); ++load) {
      const int i = (load * warps * 32 + thread) * 8;
      const int a_row = i / depth, a_column = i % depth, b_row = i / tile, b_column = i % tile;
      copy_eight(a, m, k, first_row + a_row, first + a_column, &a_tile[a_row][a_column]);
      copy_eight(b, k, n, first + b_row, first_column + b_column, &b_tile[b_row][b_column]);
    }
    __syncthreads();
#pragma unroll
    for (int p = 0; p < depth; p += core) {
      wmma::fragment<wmma::matrix_a, core, core, core, __half, wmma::row_major> a_part[warp_rows / core];
      wmma::fragment<wmma::matrix_b, core, core, core, __half, wmma::row_major> b_part[warp_columns / core];
#pragma unroll
      for (int i = 0; i < warp_rows / core; ++i)
        wmma::load_matrix_sync(a_part[i], &a_tile[row_in_tile + i * core][p], depth + padding);
#pragma unroll
      for (int j = 0; j < warp_columns / core; ++j)
        wmma::load_matrix_sync(b_part[j], &b_tile[p][column_in_tile + j * core], tile + padding);
#pragma unroll
      for (int i = 0; i < warp_rows / core; ++i)
#pragma unroll
        for (int j = 0; j < warp_columns / core; ++j) wmma::mma_sync(sum[i][j], a_part[i], b_part[j], sum[i][j]);
    }
    __syncthreads();
  }

  // By way of shared memory, as a fragment can only be stored as a whole, and c may end inside of it.
#pragma unroll
  for (int i = 0; i < warp_rows / core; ++i)
#pragma unroll
    for (int j = 0; j < warp_columns / core; ++j) {
      wmma::store_matrix_sync(&results[warp][0][0], sum[i][j], core, wmma::mem_row_major);
      __syncwarp();
      for (int e = lane; e < core * core; e += 32) {
        const int row = first_row + row_in_tile + i * core + e / core;
        const int column = first_column + column_in_tile + j * core + e % core;
        if (row < m && column < n) c[row * n + column] = results[warp][e / core][e % core];
      }
      __syncwarp();
    }
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.n + tile - 1) / tile, blocks_y = (p.m + tile - 1) / tile;
  return gradus::cuda::launch(multiply_tensor_cores, {.grid = {blocks_x, blocks_y}, .block = warps * 32}, p.m, p.n, p.k,
                              p.a_half, p.b_half, p.c);
}
#else
constexpr cudaError_t (*run)(const Problem&) = nullptr;
#endif

static_assert(tile / warp_rows * (tile / warp_columns) == warps, "the warps cover the tile");
constexpr double flop = 2. * tile * tile * depth, bytes = 2. * depth * (tile + tile);
// Of a warp, for 16 products: its fragments are read as often as a clock each delivers 128 bytes.
constexpr double warp_flop = 2. * warp_rows * warp_columns * core, warp_bytes = 2. * core * (warp_rows + warp_columns);

}  // namespace

const Step tensor_cores{
    .name = "6 Tensor Cores",
    .explanation =
        R"(A warp as a whole multiplies matrices of 16 x 16: mma_sync is one instruction to the programmer, executed
by circuits made for it, with factors in half precision (11 bits) and sums in float32. Halves also take
half the memory: 64 FLOP for each byte. The tiles are the same as before; a warp computes 32 x 64 elements
of c as 2 x 4 such matrices. The price is in the error: a and b were rounded to half precision before.
cuBLAS gets nearer to the peak as it also loads the next tiles while it multiplies (cp.async, TMA).)",
    .global_intensity = flop / bytes,
    .shared_intensity = warp_flop / warp_bytes,
    .run = run,
    .uses_tensor_cores = true};
