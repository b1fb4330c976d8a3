// Step 1: a thread for each row, which reads it three times.

#include "cuda/launch.h"
#include "examples/cuda_softmax/softmax.h"

namespace {

constexpr int block = 128;

__global__ void softmax_three_pass(int rows, int columns, const float* x, float* y) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;  // the last block reaches past the rows
  x += size_t(row) * columns;
  y += size_t(row) * columns;
  float largest = -INFINITY;
  for (int i = 0; i < columns; ++i) largest = fmaxf(largest, x[i]);
  float sum = 0;
  for (int i = 0; i < columns; ++i) sum += expf(x[i] - largest);
  for (int i = 0; i < columns; ++i) y[i] = expf(x[i] - largest) / sum;
}

cudaError_t run(const Problem& p) {
  const unsigned blocks = (p.rows + block - 1) / block;
  return gradus::cuda::launch(softmax_three_pass, {.grid = blocks, .block = block}, p.rows, p.columns, p.x, p.y);
}

}  // namespace

const Step three_pass{
    .name = "1 three passes",
    .explanation =
        R"(One thread for each row reads it three times: for the largest element, which is subtracted so that no
exponential overflows, for the sum of the exponentials, and for the quotients. The 32 lanes of a warp
execute every load together, for the same column of 32 rows. Memory moves sectors of 32 bytes, and of
each one lane uses 4 bytes; a cache may keep the rest for the next columns if it is large enough. Rows
are the only parallelism: a thousand rows are a thousand threads, and a GPU has room for a hundred thousand.)",
    .bytes = 4 * sector_bytes,  // an element is read three times and written once
    .run = run};
