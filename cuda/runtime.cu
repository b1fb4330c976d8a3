// The memory of GPUs, and the two tables through which the core library finds everything in this one.

#include "core/cuda.h"
#include "cuda/device.h"

namespace gradus::cuda {
namespace {

int count_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return 0;  // no driver, or no GPU
  return count;
}

// From CUDA's pool of freed memory, in the order of the stream: no call waits for the device.
void* allocate_memory(size_t bytes, Device device) {
  if (device.index >= count_devices())
    fail("there is no " + to_string(device) + ", only " + std::to_string(count_devices()) + " CUDA device(s)");
  void* memory = nullptr;
  const DeviceGuard guard(device);
  // An empty tensor has an address, too: kernels compute with it, though they read nothing there.
  check(cudaMallocAsync(&memory, std::max<size_t>(bytes, 1), cudaStreamPerThread), "cudaMallocAsync");
  return memory;
}

// An error here was, or will be, reported by another call: a destructor must not throw.
void deallocate_memory(void* memory, Device device) try {
  const DeviceGuard guard(device);
  (void)cudaFreeAsync(memory, cudaStreamPerThread);
} catch (const Error&) {
}

void wait_for(Device device) {
  const DeviceGuard guard(device);
  check(cudaStreamSynchronize(cudaStreamPerThread), "cudaStreamSynchronize");
}

void copy_memory(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  const cudaMemcpyKind kind = to_device.is_cpu()     ? cudaMemcpyDeviceToHost
                              : from_device.is_cpu() ? cudaMemcpyHostToDevice
                                                     : cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDeviceToDevice && to_device != from_device) {
    wait_for(to_device);  // which may be using this memory
    const DeviceGuard guard(from_device);
    check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes, cudaStreamPerThread),
          "cudaMemcpyPeerAsync");
    return wait_for(from_device);
  }
  const Device device = to_device.is_cpu() ? from_device : to_device;
  const DeviceGuard guard(device);
  check(cudaMemcpyAsync(to, from, bytes, kind, cudaStreamPerThread), "cudaMemcpyAsync");
  if (kind != cudaMemcpyDeviceToDevice) wait_for(device);
}

}  // namespace
}  // namespace gradus::cuda

extern "C" const gradus::cuda::Runtime gradus_cuda_runtime{gradus::cuda::count_devices, gradus::cuda::allocate_memory,
                                                           gradus::cuda::deallocate_memory, gradus::cuda::copy_memory,
                                                           gradus::cuda::wait_for};
