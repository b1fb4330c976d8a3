#pragma once
// What the steps have in common: y = softmax of each row of x, exp(x − largest) / Σ exp(x − largest).

#include <cuda_runtime.h>

#include <cstddef>

struct Problem {
  int rows, columns;
  const float* x;
  float* y;
};

struct Step {
  const char *name, *explanation;
  double bytes;  // that multiprocessors request from and write to global memory, for each element
  cudaError_t (*run)(const Problem&);
  int most_columns = 0;  // 0: any number
};

// Memory is read and written in sectors of 32 bytes. A warp whose lanes stand side by side uses every byte of them.
constexpr double float_bytes = 4, sector_bytes = 32;

extern const Step three_pass, warp_shuffle, block_shuffle, online, one_read;
