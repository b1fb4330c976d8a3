// Step 5: memory is accessed four floats at a time, laid out in shared memory so that no bank is asked twice.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"

namespace {

constexpr int tile = 128, depth = 8;
constexpr int part = 8, half_part = 4, side = tile / part, threads = side * side;
constexpr int padding = 4;

// Four neighbours in a row of a matrix; zeros outside. One access of 16 bytes must lie at a multiple of 16 bytes, which
// it does in every row only if a row's length is a multiple of four.
__device__ float4 load_four(const float* matrix, int rows, int columns, int row, int column) {
  const float* from = matrix + row * columns + column;
  if (row < rows && columns % 4 == 0 && column < columns) return *reinterpret_cast<const float4*>(from);
  const int count = row < rows ? columns - column : 0;
  return make_float4(count > 0 ? from[0] : 0, count > 1 ? from[1] : 0, count > 2 ? from[2] : 0,
                     count > 3 ? from[3] : 0);
}

// A thread's 8 of 128 numbers: 4 of the first half, 4 of the second. The 16-byte words of neighbours are neighbours.
__device__ void read_part(const float* line, int thread, float* values) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float4 four = *reinterpret_cast<const float4*>(line + half * tile / 2 + thread * half_part);
    values[half * half_part + 0] = four.x;
    values[half * half_part + 1] = four.y;
    values[half * half_part + 2] = four.z;
    values[half * half_part + 3] = four.w;
  }
}

// Where in the tile the i-th of a thread's 8 rows or columns is.
__device__ int place(int thread, int i) { return i / half_part * tile / 2 + thread * half_part + i % half_part; }

// Two blocks are to fit on a multiprocessor: with 256 threads each, that is at most 128 registers for a thread.
__global__ void __launch_bounds__(threads, 2)
    multiply_vectorized(int m, int n, int k, const float* a, const float* b, float* c) {
  // a's tile is transposed, so that what a thread reads of it lies in one line. The padding moves each line on by 4
  // banks: without it, the stores of the transposed tile would meet in the same banks.
  __shared__ __align__(16) float a_tile[depth][tile + padding];
  __shared__ __align__(16) float b_tile[depth][tile];
  const int thread = threadIdx.y * side + threadIdx.x;
  const int first_row = blockIdx.y * tile, first_column = blockIdx.x * tile;
  const int a_row = thread / (depth / 4), a_column = thread % (depth / 4) * 4;
  const int b_row = thread / (tile / 4), b_column = thread % (tile / 4) * 4;
  float sum[part][part] = {};
  for (int first = 0; first < k; first += depth) {
    const float4 of_a = load_four(a, m, k, first_row + a_row, first + a_column);
    a_tile[a_column + 0][a_row] = of_a.x;
    a_tile[a_column + 1][a_row] = of_a.y;
    a_tile[a_column + 2][a_row] = of_a.z;
    a_tile[a_column + 3][a_row] = of_a.w;
    *reinterpret_cast<float4*>(&b_tile[b_row][b_column]) = load_four(b, k, n, first + b_row, first_column + b_column);
    __syncthreads();
#pragma unroll
    for (int p = 0; p < depth; ++p) {
      float a_part[part], b_part[part];
      read_part(a_tile[p], threadIdx.y, a_part);
      read_part(b_tile[p], threadIdx.x, b_part);
#pragma unroll
      for (int i = 0; i < part; ++i)
#pragma unroll
        for (int j = 0; j < part; ++j) sum[i][j] += a_part[i] * b_part[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < part; ++i) {
    const int row = first_row + place(threadIdx.y, i);
#pragma unroll
    for (int j = 0; j < part; j += 4) {
      const int column = first_column + place(threadIdx.x, j);
      float* to = c + row * n + column;
      if (row < m && n % 4 == 0 && column < n) {
        *reinterpret_cast<float4*>(to) = make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
      } else if (row < m) {
#pragma unroll
        for (int q = 0; q < 4; ++q)
          if (column + q < n) to[q] = sum[i][j + q];
      }
    }
  }
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.n + tile - 1) / tile, blocks_y = (p.m + tile - 1) / tile;
  return gradus::cuda::launch(multiply_vectorized, {.grid = {blocks_x, blocks_y}, .block = {side, side}}, p.m, p.n, p.k,
                              p.a, p.b, p.c);
}

static_assert(tile * depth == 4 * threads, "each thread loads four floats of either tile");
constexpr double flop = 2. * tile * tile * depth, bytes = 4. * depth * (tile + tile);
// Of a warp, for one p: four loads of 16 bytes by each lane. A wavefront is enough for 8 lanes, so each takes 4.
constexpr double warp_flop = 2. * 32 * part * part, wavefronts = 4 * 4;

}  // namespace

const Step vectorized{
    .name = "5 vectorized",
    .explanation =
        R"(The same tiles, but every access is a float4: one instruction for 16 bytes, a quarter of the instructions.
A thread's 8 columns are now 4 of the left half of the tile and 4 of the right, so that 16 threads read
64 neighbouring floats: no bank is asked twice, and the stores to c are coalesced as well. The tile of a is
stored transposed, so that the floats that a thread reads are neighbours there, too; its lines are padded
by 4 floats, for otherwise the transposed stores would meet in the same banks.
An address of 16 bytes must be a multiple of 16: rows whose length is no multiple of 4 are read one by one.)",
    .global_intensity = flop / bytes,
    .shared_intensity = warp_flop / (wavefronts * wavefront_bytes),
    .run = run};
