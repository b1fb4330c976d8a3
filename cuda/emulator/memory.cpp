// Device memory: allocated, copied and filled, with every range checked.

#include <cstdlib>
#include <cstring>
#include <map>

#include "device.h"
#include "sanitizer.h"
#include "trace.h"

namespace gradus::emulator {
namespace {

constexpr std::size_t alignment = 256;  // as cudaMalloc promises
constexpr std::size_t gap = 256;        // between allocations, so that running past the end is no hit by accident

std::map<const char*, Allocation> device_memory;  // by where it begins
std::map<const char*, std::size_t> pinned_memory;
std::size_t used = 0;
int accesses = 0;  // that are allowed at present

template <class Map> auto last_not_above(Map& map, const void* address) {
  auto next = map.upper_bound(static_cast<const char*>(address));
  return next == map.begin() ? map.end() : std::prev(next);
}

std::string bytes_text(std::size_t bytes) { return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes"); }

cudaError_t allocate(void** result, std::size_t bytes) {
  *result = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::size_t room = (bytes + alignment - 1) / alignment * alignment + gap;
  void* memory = used + bytes <= properties().totalGlobalMem ? std::aligned_alloc(alignment, room) : nullptr;
  if (!memory)
    return refuse(cudaErrorMemoryAllocation,
                  bytes_text(bytes) + " do not fit beside the " + bytes_text(used) + " in use");
  std::memset(memory, 0xff, bytes);  // not numbers: what is read before it is written shows
  forbid_access(static_cast<char*>(memory) + bytes, room - bytes);
  if (accesses == 0) forbid_access(memory, bytes);
  device_memory[static_cast<char*>(memory)] = {static_cast<char*>(memory), bytes};
  if (trace::enabled) trace::allocated(memory, bytes);
  used += bytes;
  *result = memory;
  return cudaSuccess;
}

bool begins_allocation(const void* memory) { return device_memory.count(static_cast<const char*>(memory)) > 0; }

void release(void* memory) {
  auto found = device_memory.find(static_cast<char*>(memory));
  const std::size_t bytes = found->second.size;
  allow_access(memory, (bytes + alignment - 1) / alignment * alignment + gap);
  if (trace::enabled) trace::freed(memory);
  used -= bytes;
  device_memory.erase(found);
  std::free(memory);
}

cudaError_t refuse_free(const char* call) {
  return refuse(cudaErrorInvalidValue, std::string(call) + " of what is not the beginning of live device memory");
}

// What is wrong with one end of a copy.
std::string check_end(const char* name, const void* address, std::size_t bytes, bool on_device) {
  const bool is_device = find_device_memory(address) != nullptr;
  if (is_device != on_device) return std::string("the ") + name + " is " + (is_device ? "device" : "host") + " memory";
  const std::string wrong = is_device ? check_device_memory(address, bytes) : "";
  return wrong.empty() ? wrong : std::string("of the ") + name + ", " + wrong;
}

cudaError_t check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  static constexpr const char* kinds[] = {"host to host", "host to device", "device to host", "device to device",
                                          "default"};
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) {
    to_device = find_device_memory(to) != nullptr;
    from_device = find_device_memory(from) != nullptr;
  }
  if (bytes == 0) return cudaSuccess;
  std::string wrong = check_end("destination", to, bytes, to_device);
  if (wrong.empty()) wrong = check_end("source", from, bytes, from_device);
  if (wrong.empty()) return cudaSuccess;
  return refuse(cudaErrorInvalidValue, "a copy of " + bytes_text(bytes) + ", " + kinds[kind] + ": " + wrong);
}

}  // namespace

const Allocation* find_device_memory(const void* address) {
  const Allocation* before = device_memory_before(address);
  return before && address < before->begin + before->size ? before : nullptr;
}

const Allocation* device_memory_before(const void* address) {
  auto found = last_not_above(device_memory, address);
  return found == device_memory.end() ? nullptr : &found->second;
}

std::string check_device_memory(const void* address, std::size_t bytes) {
  const Allocation* found = find_device_memory(address);
  if (!found) return "the address is not in device memory";
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - found->begin);
  if (bytes <= found->size - offset) return "";
  return bytes_text(bytes) + " from byte " + std::to_string(offset) + " run past the end of " + bytes_text(found->size);
}

DeviceAccess::DeviceAccess() {
  if (accesses++ == 0)
    for (auto& [begin, memory] : device_memory) allow_access(begin, memory.size);
}
DeviceAccess::~DeviceAccess() {
  if (--accesses == 0)
    for (auto& [begin, memory] : device_memory) forbid_access(begin, memory.size);
}

}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cudaError_t cudaMalloc(void** result, size_t bytes) {
  auto device = use_device();
  return allocate(result, bytes);
}

cudaError_t cudaFree(void* memory) {
  auto device = use_device();
  cudaDeviceSynchronize();
  if (!memory) return cudaSuccess;
  if (!begins_allocation(memory)) return refuse_free("cudaFree");
  release(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** result, size_t bytes, cudaStream_t) {
  auto device = use_device();
  return allocate(result, bytes);
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  auto device = use_device();
  if (!memory) return cudaSuccess;
  if (!begins_allocation(memory)) return refuse_free("cudaFreeAsync");
  enqueue(stream, [memory] { release(memory); });
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** result, size_t bytes) {
  auto device = use_device();
  *result = std::malloc(bytes);
  pinned_memory[static_cast<char*>(*result)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** result, size_t bytes, unsigned) { return cudaMallocHost(result, bytes); }

cudaError_t cudaFreeHost(void* memory) {
  auto device = use_device();
  cudaDeviceSynchronize();
  if (memory && !pinned_memory.erase(static_cast<char*>(memory)))
    return refuse(cudaErrorInvalidValue, "cudaFreeHost of what cudaMallocHost did not give");
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  auto device = use_device();
  auto pinned = last_not_above(pinned_memory, address);
  *attributes = {};
  if (find_device_memory(address)) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->devicePointer = const_cast<void*>(address);
  } else if (pinned != pinned_memory.end() && address < pinned->first + pinned->second) {
    attributes->type = cudaMemoryTypeHost;
    attributes->hostPointer = attributes->devicePointer = const_cast<void*>(address);
  } else {
    attributes->hostPointer = const_cast<void*>(address);
  }
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  auto device = use_device();
  *total = properties().totalGlobalMem;
  *free = *total - used;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  auto device = use_device();
  if (cudaError_t error = check_copy(to, from, bytes, kind)) return error;
  enqueue(stream, [=] {
    if (bytes > 0) std::memmove(to, from, bytes);
    if (trace::enabled) trace::copied(to, from, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream) {
  for (int number : {to_device, from_device})
    if (cudaError_t error = cudaSetDevice(number)) return error;
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  auto device = use_device();
  const std::string wrong = bytes > 0 ? check_device_memory(to, bytes) : "";
  if (!wrong.empty()) return refuse(cudaErrorInvalidValue, "cudaMemset: " + wrong);
  enqueue(stream, [=] {
    if (bytes > 0) std::memset(to, value, bytes);
    if (trace::enabled) trace::written(to, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  if (cudaError_t error = cudaMemsetAsync(to, value, bytes, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

// There is one pool, and it keeps nothing back, so what it is told makes no difference.
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }

}  // extern "C"
