#pragma once
// Kernels of which it is known what they ask of memory; and broken ones, each beside the right one.

#include "cuda/launch.h"

// y[i * stride] = x[i * stride] for every thread i
__global__ void copy_strided(int stride, const float* x, float* y);
__global__ void copy_float4(const float4* x, float4* y);
__global__ void copy_bytes(const char* x, char* y);
// Sum of x over each row of 48, by a warp; in the last round half of its lanes are idle.
__global__ void sum_rows(int rows, const float* x, float* y);
// y = x transposed, n x n, n a multiple of 32; blocks of 32 x 32
__global__ void transpose_naive(int n, const float* x, float* y);
// The same by way of a tile in shared memory, whose rows are `padding` longer than 32.
template <int padding> __global__ void transpose(int n, const float* x, float* y);
// c = a b, n x n; blocks of tile x tile
template <int tile> __global__ void multiply(int n, const float* a, const float* b, float* c);
__global__ void histogram(const int* x, int* counts);

// The right one is kernel<true>, the broken one kernel<false>.
template <bool right> __global__ void reverse_block(float* x);  // barrier before others' values are read
template <bool right> __global__ void rotate_block(float* x);   // barrier before they are overwritten
template <bool right> __global__ void reverse_warp(float* x);   // __syncwarp within a warp
template <bool right> __global__ void shift_global(float* x);   // barrier between accesses to global memory
template <bool right> __global__ void count(int* counter);      // atomicAdd
template <bool right> __global__ void shift_halves(const short* x, short* y);       // each thread its own 2 bytes
template <bool right> __global__ void sum_block(float* x);                          // shared memory that was written
template <bool right> __global__ void difference(int n, const float* x, float* y);  // stays within x
template <bool right> __global__ void copy_pairs(const float* x, float2* y);        // aligned
__global__ void copy_one(const float* x, float* y);
__global__ void fill(float value, float* y);
