#pragma once
// What the files of cuda/ share: errors, streams, and how many threads a kernel gets.

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/tensor.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
//
#include <nvtx3/nvToolsExt.h>

namespace gradus::cuda {

/// Fails with the call and CUDA's own words if a call of the runtime did. Errors of kernels that ran before show here,
/// too.
inline void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) fail(std::string(call) + ": " + cudaGetErrorString(error));
}

/// Makes a device current while it lives: what is queued on cudaStreamPerThread goes to the stream that this thread has
/// on the device. Streams of different threads do not wait for each other.
class DeviceGuard {
 public:
  explicit DeviceGuard(Device device) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    check(cudaSetDevice(device.index), "cudaSetDevice");
  }
  ~DeviceGuard() { (void)cudaSetDevice(before_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
};

/// Queues a kernel on this thread's stream. NVIDIA's profilers show it under the name of the operation under way.
template <class... Parameters, class... Arguments>
void launch_grid(int64_t grid, int block, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const DeviceGuard guard(device);
  nvtxRangePushA(Scope::current() ? Scope::current()->operation() : "gradus");
  const cudaError_t error =
      launch(kernel, {.grid = unsigned(grid), .block = unsigned(block), .stream = cudaStreamPerThread},
             std::forward<Arguments>(arguments)...);
  nvtxRangePop();
  check(error, "kernel launch");
}

/// Runs `kernel(arguments...)` with one thread for each of `count` things, at most; the kernel loops over them with
/// the grid's size as its step.
template <class... Parameters, class... Arguments>
void launch_for(int64_t count, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  constexpr int64_t block = 256, most_blocks = 4096;  // a few rounds of the largest GPUs
  if (count > 0)
    launch_grid(std::min((count + block - 1) / block, most_blocks), block, device, kernel,
                std::forward<Arguments>(arguments)...);
}

/// Runs `kernel(arguments...)` with a block of `threads` for each of `count` things, at most; it loops over them, too.
template <class... Parameters, class... Arguments>
void launch_blocks(int64_t count, int threads, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (count > 0)
    launch_grid(std::min(count, int64_t(INT32_MAX)), threads, device, kernel, std::forward<Arguments>(arguments)...);
}

/// The same with a warp for each thing.
template <class... Parameters, class... Arguments>
void launch_warps(int64_t count, Device device, void (*kernel)(Parameters...), Arguments&&... arguments) {
  launch_for(count * 32, device, kernel, std::forward<Arguments>(arguments)...);
}

/// The address of a tensor's first element.
template <class T> T* pointer(const Tensor& x) { return static_cast<T*>(x.storage()->data()) + x.offset(); }

/// Calls `run.template operator()<Stored, Computed>()`: bfloat16 is loaded and stored as such, and computed in float.
template <class F> void visit_floating(Dtype dtype, F&& run) {
  if (dtype == float64) run.template operator()<double, double>();
  else if (dtype == float32) run.template operator()<float, float>();
  else run.template operator()<BFloat16, float>();
}

/// The number of this thread in the grid, and how many threads there are.
__device__ inline int64_t thread_in_grid() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t threads_in_grid() { return int64_t(gridDim.x) * blockDim.x; }
/// The same of its warp, and its number in that.
__device__ inline int64_t warp_in_grid() { return thread_in_grid() / 32; }
__device__ inline int64_t warps_in_grid() { return threads_in_grid() / 32; }
__device__ inline int lane() { return int(threadIdx.x % 32); }

}  // namespace gradus::cuda
