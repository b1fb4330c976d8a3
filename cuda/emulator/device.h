#pragma once
// The emulated device: its properties, its memory, its streams, and the errors of calls.

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

#include "cuda_runtime.h"

namespace gradus::emulator {

/// To be held by whoever touches what this file declares. The first call says on stderr that the device is emulated.
std::unique_lock<std::recursive_mutex> use_device();

/// The properties that cudaGetDeviceProperties gives.
const cudaDeviceProp& properties();
/// How much dynamic shared memory a kernel may have.
std::size_t dynamic_shared_limit(const void* kernel);

/// Remembers an error for cudaGetLastError and returns it. cudaGetErrorString adds the explanation to CUDA's own words.
cudaError_t refuse(cudaError_t error, std::string explanation);

struct Allocation {
  char* begin;
  std::size_t size;
};
/// The live device memory that holds `address`, or the one that ends closest below it; null if there is none.
const Allocation* find_device_memory(const void* address);
const Allocation* device_memory_before(const void* address);
/// What is wrong with `bytes` of device memory at `address`; empty if nothing is.
std::string check_device_memory(const void* address, std::size_t bytes);

/// Queues work in a stream; it runs now or, in lazy mode, when somebody waits for it.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// While one lives, device memory may be touched: AddressSanitizer reports host code that does so.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
};

}  // namespace gradus::emulator
