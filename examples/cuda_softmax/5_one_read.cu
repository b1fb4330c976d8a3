// Step 5: online softmax, which keeps the row in shared memory on its way.

#include "cuda/launch.h"
#include "examples/cuda_softmax/softmax.h"
//
#include "examples/cuda_softmax/online.h"

namespace {

constexpr int threads = 256;

// Each thread stores and reads back its own columns, so no barrier is needed for the row.
__global__ void softmax_one_read(int columns, const float* x, float* y) {
  DYNAMIC_SHARED(float, row_of_x);
  x += size_t(blockIdx.x) * columns;
  y += size_t(blockIdx.x) * columns;
  Partial partial;
  for (int i = threadIdx.x; i < columns; i += threads) {
    const float value = x[i];
    row_of_x[i] = value;
    partial.add(value);
  }
  const Partial row = combine_block<threads / 32>(partial);
  for (int i = threadIdx.x; i < columns; i += threads) y[i] = expf(row_of_x[i] - row.largest) / row.sum;
}

cudaError_t run(const Problem& p) {
  return gradus::cuda::launch(softmax_one_read,
                              {.grid = unsigned(p.rows), .block = threads, .shared = size_t(p.columns) * sizeof(float)},
                              p.columns, p.x, p.y);
}

}  // namespace

const Step one_read{
    .name = "5 one read",
    .explanation =
        R"(On the first pass the row is also copied to shared memory, and read from there on the second: each element
is read once from global memory and written once, the least that is possible. A block may have 48 KiB of
shared memory without further ado, so rows have at most 12,000 elements. Long rows leave room for few
blocks on a multiprocessor, and if the L2 cache held the row anyway, little is gained: measure.)",
    .bytes = 2 * float_bytes,
    .run = run,
    .most_columns = 12000};
