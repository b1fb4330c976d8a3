// The memory of GPUs, and the two tables through which the core library finds everything in this one.

#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cuda.h"
#include "cuda/device.h"
#include "cuda/graph.h"

namespace gradus::cuda {
namespace {

int count_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return 0;  // no driver, or no GPU
  return count;
}

// An error here was, or will be, reported by another call: a destructor must not throw.
void deallocate_memory(void* memory, Device device) try {
  if (GraphMemory* graph = GraphMemory::recording())
    return graph->keep([memory, device] { deallocate_memory(memory, device); });
  const DeviceGuard guard(device);
  (void)cudaFreeAsync(memory, cudaStreamPerThread);
} catch (const Error&) {
}

// From CUDA's pool of freed memory, in the order of the stream: no call waits for the device.
Ref<Storage> allocate_memory(size_t bytes, Device device) {
  if (device.index >= count_devices())
    fail("there is no " + to_string(device) + ", only " + std::to_string(count_devices()) + " CUDA device(s)");
  if (GraphMemory* graph = GraphMemory::recording()) return graph->allocate(bytes, device);
  void* memory = nullptr;
  const DeviceGuard guard(device);
  // An empty tensor has an address, too: kernels compute with it, though they read nothing there.
  check(cudaMallocAsync(&memory, std::max<size_t>(bytes, 1), cudaStreamPerThread), "cudaMallocAsync");
  return Storage::foreign(memory, bytes, device, [memory, device] { deallocate_memory(memory, device); });
}

void wait_for(Device device) {
  forbid_recording();
  const DeviceGuard guard(device);
  check(cudaStreamSynchronize(cudaStreamPerThread), "cudaStreamSynchronize");
}

using Event = std::unique_ptr<CUevent_st, decltype(&cudaEventDestroy)>;

// Of the current device.
Event create_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return Event(event, cudaEventDestroy);
}

// Pinned memory that the GPU reads by itself, while the program goes on: what is to be copied waits here.
struct Staged {
  void* memory;
  size_t bytes;
  Device device;
  Event copied;  // when the block may be used again
};

class Staging {
 public:
  /// As cudaMemcpyAsync from the host, which may change the memory when this returns. The device is current.
  void copy(void* to, Device device, const void* from, size_t bytes) {
    Staged block = take(bytes, device);
    std::memcpy(block.memory, from, bytes);
    check(cudaMemcpyAsync(to, block.memory, bytes, cudaMemcpyHostToDevice, cudaStreamPerThread), "cudaMemcpyAsync");
    check(cudaEventRecord(block.copied.get(), cudaStreamPerThread), "cudaEventRecord");
    const std::lock_guard lock(mutex_);
    blocks_.push_back(std::move(block));
  }

 private:
  Staged take(size_t bytes, Device device) {
    const std::lock_guard lock(mutex_);
    const auto fits = [&](const Staged& block) {
      return block.device == device && block.bytes >= bytes && block.bytes / 2 <= std::max(bytes, page) &&
             cudaEventQuery(block.copied.get()) == cudaSuccess;
    };
    const auto place = std::find_if(blocks_.begin(), blocks_.end(), fits);
    (void)cudaGetLastError();  // that blocks are still to be copied is no error
    if (place != blocks_.end()) {
      Staged found = std::move(*place);
      blocks_.erase(place);
      return found;
    }
    Staged block{nullptr, (bytes + page - 1) / page * page, device, create_event()};
    check(cudaMallocHost(&block.memory, block.bytes), "cudaMallocHost");
    return block;
  }

  static constexpr size_t page = 4096;
  std::mutex mutex_;
  std::vector<Staged> blocks_;
};

// What is sent with a kernel: nobody waits for it.
struct Bytes {
  unsigned char values[sent_at_once];
};
__global__ void store_bytes(Bytes bytes, unsigned char* to) { to[threadIdx.x] = bytes.values[threadIdx.x]; }

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
  const bool is_number = kind == cudaMemcpyHostToDevice && bytes <= sizeof(double);  // which a graph may record
  if (kind != cudaMemcpyDeviceToDevice && !is_number) forbid_recording();
  if (kind == cudaMemcpyHostToDevice && bytes <= sent_at_once) {
    Bytes argument{};
    std::memcpy(argument.values, from, bytes);
    return launch_grid(1, unsigned(bytes), device, store_bytes, argument, static_cast<unsigned char*>(to));
  }
  const DeviceGuard guard(device);
  static Staging& staging = *new Staging;  // never destroyed: the driver may be gone by then
  if (kind == cudaMemcpyHostToDevice && bytes <= size_t(64) << 20) return staging.copy(to, device, from, bytes);
  check(cudaMemcpyAsync(to, from, bytes, kind, cudaStreamPerThread), "cudaMemcpyAsync");
  if (kind != cudaMemcpyDeviceToDevice) wait_for(device);
}

std::function<void()> record_on(Device device) {
  forbid_recording();
  const DeviceGuard guard(device);
  const std::shared_ptr<CUevent_st> event = create_event();
  check(cudaEventRecord(event.get(), cudaStreamPerThread), "cudaEventRecord");
  return [event, device] {
    const DeviceGuard here(device);
    check(cudaStreamWaitEvent(cudaStreamPerThread, event.get(), 0), "cudaStreamWaitEvent");
  };
}

}  // namespace
}  // namespace gradus::cuda

extern "C" const gradus::cuda::Runtime gradus_cuda_runtime{gradus::cuda::count_devices, gradus::cuda::allocate_memory,
                                                           gradus::cuda::copy_memory,   gradus::cuda::wait_for,
                                                           gradus::cuda::record_on,     gradus::cuda::capture};
