// Step 4: a block for each row, which finds the largest element and the sum in a single pass.

#include "cuda/launch.h"
#include "examples/cuda_softmax/softmax.h"
//
#include "examples/cuda_softmax/online.h"

namespace {

constexpr int threads = 256;

__global__ void softmax_online(int columns, const float* x, float* y) {
  x += size_t(blockIdx.x) * columns;
  y += size_t(blockIdx.x) * columns;
  Partial partial;
  for (int i = threadIdx.x; i < columns; i += threads) partial.add(x[i]);
  const Partial row = combine_block<threads / 32>(partial);
  for (int i = threadIdx.x; i < columns; i += threads) y[i] = expf(x[i] - row.largest) / row.sum;
}

cudaError_t run(const Problem& p) {
  return gradus::cuda::launch(softmax_online, {.grid = unsigned(p.rows), .block = threads}, p.columns, p.x, p.y);
}

}  // namespace

const Step online{
    .name = "4 online",
    .explanation =
        R"(The largest element and the sum in one pass: each thread keeps the largest of its elements so far, m, and
the sum of exp(x - m). When a larger x comes, the sum is multiplied by exp(m - x), and goes on. Two such
pairs combine in the same way, by shuffles. A row is read twice instead of three times, for some more
arithmetic, which waits less than memory does. This is also the heart of FlashAttention, where the rows of
scores are never in memory at all. Masked elements, -infinity, need care: -infinity minus itself is NaN.)",
    .bytes = 3 * float_bytes,
    .run = run};
