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

/// There are two devices, which are alike. A thread starts with device 0 as its current one.
constexpr int device_count = 2;
int current_device();
/// Why a call with something of a device, such as a stream, is wrong; empty if that device is the current one.
std::string check_current(const char* what, int device);

/// The properties that cudaGetDeviceProperties gives.
const cudaDeviceProp& properties();
/// How much dynamic shared memory a kernel may have.
std::size_t dynamic_shared_limit(const void* kernel);

/// Remembers an error for cudaGetLastError and returns it. cudaGetErrorString adds the explanation to CUDA's own words.
cudaError_t refuse(cudaError_t error, std::string explanation);

struct Allocation {
  char* begin;
  std::size_t size;
  int device;
};
/// The live device memory that holds `address`, or the one that ends closest below it; null if there is none.
const Allocation* find_device_memory(const void* address);
const Allocation* device_memory_before(const void* address);
/// What is wrong with `bytes` of device memory at `address`; empty if nothing is.
std::string check_device_memory(const void* address, std::size_t bytes);
/// The same of what a library is to compute with: it must lie on the current device.
std::string check_operand(const void* address, std::size_t bytes);

/// Queues work in a stream; it runs now or, in lazy mode, when somebody waits for it.
void enqueue(cudaStream_t stream, std::function<void()> work);
/// Errors of calls that CUDA does not allow while that stream is captured, or any in another mode than the relaxed one.
cudaError_t refuse_in_capture(cudaStream_t stream, const char* call);
cudaError_t refuse_in_strict_capture(const char* call);
/// The device that a stream belongs to.
int device_of(cudaStream_t stream);
/// Does all that was queued in the streams of a device.
void synchronize(int device);

/// While one lives, the device's memory may be touched: AddressSanitizer reports host code that does so, and kernels
/// that touch another's.
class DeviceAccess {
 public:
  explicit DeviceAccess(int device);
  ~DeviceAccess();

 private:
  int device_;
};

}  // namespace gradus::emulator
