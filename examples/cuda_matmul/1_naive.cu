// Step 1: one thread for each element of c. It reads a row of a and a column of b.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"

namespace {

constexpr int block_x = 32, block_y = 8;

// threadIdx.x counts rows. The 32 lanes of a warp have neighbouring threadIdx.x: they stand below each other in c.
__global__ void multiply_naive(int m, int n, int k, const float* a, const float* b, float* c) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  const int column = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= m || column >= n) return;  // the last blocks reach past the matrix
  float sum = 0;
  for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + column];
  c[row * n + column] = sum;
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.m + block_x - 1) / block_x, blocks_y = (p.n + block_y - 1) / block_y;
  return gradus::cuda::launch(multiply_naive, {.grid = {blocks_x, blocks_y}, .block = {block_x, block_y}}, p.m, p.n,
                              p.k, p.a, p.b, p.c);
}

// Of one multiply-add by each of 32 lanes. Their elements of a lie in 32 rows, so in 32 sectors; b's is the same for
// all.
constexpr double flop = 2 * 32, sectors = 32 + 1;

}  // namespace

const Step naive{
    .name = "1 naive",
    .explanation =
        R"(One thread for each element of c, in blocks of 32 x 8 threads, as many blocks as cover c. Each thread
reads its row of a and its column of b: 2 FLOP for 2 loads.
A warp is 32 threads that execute every instruction together, and here its lanes stand in 32 rows of c.
So one load of a touches 32 places, each k floats from the next. Memory moves sectors of 32 bytes: of
each, one lane uses 4 bytes. Only because a cache keeps the rest for the next i is it not even slower.)",
    .global_intensity = flop / (sectors * sector_bytes),
    .run = run};
