#pragma once
// What the steps of the ladder have in common: c = a·b, with a [m, k], b [k, n] and c [m, n], row after row.

#include <cuda_runtime.h>
//
#include <cuda_fp16.h>

struct Problem {
  int m, n, k;
  const float *a, *b;
  const __half *a_half, *b_half;  // the same in half precision
  float* c;
};

struct Step {
  const char *name, *explanation;
  double global_intensity;      // FLOP for each byte that multiprocessors request from global memory
  double shared_intensity = 0;  // FLOP for each byte that shared memory could have delivered meanwhile; 0: none is used
  cudaError_t (*run)(const Problem&) = nullptr;  // null where the emulator cannot run it
  bool uses_tensor_cores = false;
};

// Global memory is read in sectors; shared memory delivers a word from each of its 32 banks at once, a wavefront.
constexpr double sector_bytes = 32, wavefront_bytes = 128;

extern const Step naive, coalesced, shared_tile, register_tile, vectorized, tensor_cores;
