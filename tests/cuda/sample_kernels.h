#pragma once
// Kernels of textbook kind, to try the emulator on; and broken ones, a kernel for each defect that it must report.

#include "cuda/launch.h"

// y += a * x, for float4
__global__ void saxpy(int count, float a, const float4* x, float4* y);
// y: [rows, columns], softmax over the columns of x; one block a row
__global__ void softmax(int columns, const float* x, float* y);
// c = a b, for a: [m, k], b: [k, n], by tiles of 16 x 16
__global__ void matmul(int m, int n, int k, const float* a, const float* b, float* c);
// table[ids[i]] += gradient[i], for gradient: [tokens, width]; one block a token
__global__ void embedding_backward(int width, const int* ids, const float* gradient, float* table);

__global__ void barrier_in_branch(float* y);
__global__ void shuffle_in_branch(float* y);
__global__ void shuffle_from_outside_the_mask(float* y);
__global__ void different_barriers(float* y);
