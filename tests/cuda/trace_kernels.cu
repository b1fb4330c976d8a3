#include "trace_kernels.h"

__device__ inline int thread_in_grid() { return blockIdx.x * blockDim.x + threadIdx.x; }

__global__ void copy_strided(int stride, const float* x, float* y) {
  const int i = thread_in_grid() * stride;
  const float value = x[i];
  y[i] = value;
}

__global__ void copy_float4(const float4* x, float4* y) {
  const float4 value = x[thread_in_grid()];
  y[thread_in_grid()] = value;
}

__global__ void copy_bytes(const char* x, char* y) { y[thread_in_grid()] = x[thread_in_grid()]; }

__global__ void sum_rows(int rows, const float* x, float* y) {
  const int lane = threadIdx.x % 32;
  for (int row = thread_in_grid() / 32; row < rows; row += gridDim.x * blockDim.x / 32) {
    float sum = 0;
    for (int i = lane; i < 48; i += 32)
      sum += x[row * 48 + i];
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    if (lane == 0)
      y[row] = sum;
  }
}

__global__ void transpose_naive(int n, const float* x, float* y) {
  const int row = blockIdx.y * 32 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
  const float value = x[row * n + column];
  y[column * n + row] = value;
}

template <int padding> __global__ void transpose(int n, const float* x, float* y) {
  __shared__ float tile[32][32 + padding];
  const int row = blockIdx.y * 32 + threadIdx.y, column = blockIdx.x * 32 + threadIdx.x;
  const float in = x[row * n + column];
  tile[threadIdx.y][threadIdx.x] = in;
  __syncthreads();
  const float out = tile[threadIdx.x][threadIdx.y];
  y[(blockIdx.x * 32 + threadIdx.y) * n + blockIdx.y * 32 + threadIdx.x] = out;
}
template __global__ void transpose<0>(int, const float*, float*);
template __global__ void transpose<1>(int, const float*, float*);

template <int tile> __global__ void multiply(int n, const float* a, const float* b, float* c) {
  __shared__ float a_tile[tile][tile], b_tile[tile][tile];
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * tile + y, column = blockIdx.x * tile + x;
  float sum = 0;
  for (int first = 0; first < n; first += tile) {
    a_tile[y][x] = a[row * n + first + x];
    b_tile[y][x] = b[(first + y) * n + column];
    __syncthreads();
    for (int i = 0; i < tile; ++i) {
      const float left = a_tile[y][i];
      const float right = b_tile[i][x];
      sum += left * right;
    }
    __syncthreads();
  }
  c[row * n + column] = sum;
}
template __global__ void multiply<16>(int, const float*, const float*, float*);
template __global__ void multiply<32>(int, const float*, const float*, float*);

__global__ void histogram(const int* x, int* counts) {
  DYNAMIC_SHARED(int, block_counts);
  if (threadIdx.x < 4) block_counts[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&block_counts[x[thread_in_grid()]], 1);
  __syncthreads();
  if (threadIdx.x < 4)
    atomicAdd(&counts[threadIdx.x], block_counts[threadIdx.x]);
}

// ---- broken and right

template <bool right> __global__ void repeat_half(float* x) {
  __shared__ float copy[64];
  copy[threadIdx.x] = x[threadIdx.x];
  if (right) __syncthreads();
  else __syncwarp();
  x[threadIdx.x] = copy[threadIdx.x % 32];
}

template <bool right> __global__ void rotate_block(float* x) {
  __shared__ float values[64];
  values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const float next = values[(threadIdx.x + 1) % 64];
  if (right) __syncthreads();
  values[threadIdx.x] = next;
  x[threadIdx.x] = values[threadIdx.x];
}

template <bool right> __global__ void spread_warp(float* x) {
  __shared__ float copy[64];
  const int first = threadIdx.x / 32 * 32, lane = threadIdx.x % 32;
  copy[threadIdx.x] = x[threadIdx.x];
  __syncwarp(right ? 0xffffffff : lane < 16 ? 0x0000ffff : 0xffff0000);
  x[threadIdx.x] = copy[first + lane / 2];
}

template <bool right> __global__ void shift_global(float* x) {
  const float value = x[threadIdx.x + 1];
  if (right) __syncthreads();
  x[threadIdx.x] = value;
}

template <bool right> __global__ void count(int* counter) {
  if (right) atomicAdd(counter, 1);
  else *counter += 1;
}

template <bool right> __global__ void shift_halves(const short* x, short* y) {
  y[thread_in_grid() / (right ? 1 : 2)] = x[thread_in_grid()];
}

template <bool right> __global__ void sum_block(float* x) {
  __shared__ float of_warp[32];
  float sum = x[threadIdx.x];
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    const int warps = blockDim.x / 32 + (right ? 0 : 1);
    for (int i = 1; i < warps; ++i)
      sum += of_warp[i];
    x[0] = sum;
  }
}

template <bool right> __global__ void difference(int n, const float* x, float* y) {
  const int i = thread_in_grid();
  if (i < (right ? n - 1 : n))
    y[i] = x[i + 1] - x[i];
}

template <bool right> __global__ void copy_pairs(const float* x, float2* y) {
  const int i = thread_in_grid();
  y[i] = *reinterpret_cast<const float2*>(x + (right ? 2 * i : i));
}

__global__ void copy_one(const float* x, float* y) { *y = *x; }

#define BOTH(kernel, ...)                             \
  template __global__ void kernel<true>(__VA_ARGS__); \
  template __global__ void kernel<false>(__VA_ARGS__)
BOTH(repeat_half, float*);
BOTH(rotate_block, float*);
BOTH(spread_warp, float*);
BOTH(shift_global, float*);
BOTH(count, int*);
BOTH(shift_halves, const short*, short*);
BOTH(sum_block, float*);
BOTH(difference, int, const float*, float*);
BOTH(copy_pairs, const float*, float2*);
