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

// The right one is kernel<true>, the broken one kernel<false>, which lacks
template <bool right> __global__ void repeat_half(float* x);   // a barrier before others' values are read
template <bool right> __global__ void rotate_block(float* x);  // a barrier before they are overwritten
template <bool right> __global__ void spread_warp(float* x);   // half of the lanes in a __syncwarp
template <bool right> __global__ void shift_global(float* x);  // a barrier between accesses to global memory
template <bool right> __global__ void count(int* counter);     // an atomic addition
template <bool right> __global__ void shift_halves(const short* x, short* y);       // 2 bytes for each thread
template <bool right> __global__ void sum_block(float* x);                          // a value in shared memory
template <bool right> __global__ void difference(int n, const float* x, float* y);  // a check of bounds
template <bool right> __global__ void copy_pairs(const float* x, float2* y);        // alignment
__global__ void copy_one(const float* x, float* y);
