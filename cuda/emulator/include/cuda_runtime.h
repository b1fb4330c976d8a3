#pragma once
// CUDA for the host's compiler: with this folder before the toolkit's, a .cu file is ordinary C++ whose kernels run on
// the CPU. Types and prototypes are NVIDIA's (cuda_runtime_api.h), so a call that is wrong for CUDA does not compile
// here either; only the definitions are the emulator's.

#ifdef __CUDACC__
#error "nvcc needs the toolkit's own cuda_runtime.h: leave cuda/emulator/include out of its include path"
#endif
#include "emulator/vector_types.h"
//
#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdio>

#include "emulator/arithmetic.h"
#include "emulator/atomics.h"
#include "emulator/launch.h"
#include "emulator/synchronization.h"
#include "emulator/thread.h"
#include "emulator/warp.h"

// A block runs on one thread of the operating system, so a thread-local static is shared by the threads of a block and
// by nobody else. AddressSanitizer puts red zones around plain statics only; with it one OS thread runs all blocks.
#undef __shared__
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __shared__ static
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define __shared__ static
#endif
#ifndef __shared__
#define __shared__ thread_local
#endif

#undef __launch_bounds__
#define __launch_bounds__(...)

// The typed forms that the toolkit's cuda_runtime.h adds to the C interface.
template <class T> cudaError_t cudaMalloc(T** pointer, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), bytes);
}
template <class T> cudaError_t cudaMallocAsync(T** pointer, size_t bytes, cudaStream_t stream) {
  return cudaMallocAsync(reinterpret_cast<void**>(pointer), bytes, stream);
}
template <class T> cudaError_t cudaMallocHost(T** pointer, size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(pointer), bytes);
}
template <class T> cudaError_t cudaFuncSetAttribute(T* kernel, cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
template <class T>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, T* kernel, int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel), threads, shared);
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned flags) {
  return cudaEventCreateWithFlags(event, flags);
}
