// Step 2: the kernel of step 1 with x and y exchanged, so that the lanes of a warp read neighbouring memory.

#include "cuda/launch.h"
#include "examples/cuda_matmul/matmul.h"

namespace {

constexpr int block_x = 32, block_y = 8;

// threadIdx.x counts columns: the lanes of a warp stand beside each other in c.
__global__ void multiply_coalesced(int m, int n, int k, const float* a, const float* b, float* c) {
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= m || column >= n) return;
  float sum = 0;
  for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + column];
  c[row * n + column] = sum;
}

cudaError_t run(const Problem& p) {
  const unsigned blocks_x = (p.n + block_x - 1) / block_x, blocks_y = (p.m + block_y - 1) / block_y;
  return gradus::cuda::launch(multiply_coalesced, {.grid = {blocks_x, blocks_y}, .block = {block_x, block_y}}, p.m, p.n,
                              p.k, p.a, p.b, p.c);
}

// Of one multiply-add by each of 32 lanes: a's element is the same for all, b's lie side by side in 32·4 bytes.
constexpr double flop = 2 * 32, sectors = 1 + 32 * 4 / sector_bytes;

}  // namespace

const Step coalesced{
    .name = "2 coalesced",
    .explanation =
        R"(Only x and y are exchanged: threadIdx.x now counts columns, so the lanes of a warp stand beside each other
in c. Their loads of b are 32 neighbouring floats, 4 full sectors, and so are their stores to c; their
load of a is one address for all. Such access is called coalesced. Still every multiply-add waits for two
loads, and an element of a is requested again by each of the warps that cover its row of c.)",
    .global_intensity = flop / (sectors * sector_bytes),
    .run = run};
