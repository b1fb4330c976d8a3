// Device memory: allocated, copied and filled, with every range checked.

#include <cstdlib>
#include <cstring>
#include <map>
#include <tuple>

#include "device.h"
#include "emulator/emulator.h"
#include "sanitizer.h"
#include "trace.h"

namespace gradus::emulator {
namespace {

constexpr std::size_t alignment = 256;  // as cudaMalloc promises
constexpr std::size_t gap = 256;        // between allocations, so that running past the end is no hit by accident

std::map<const char*, Allocation> device_memory;  // by where it begins
std::map<const char*, std::size_t> pinned_memory;
std::size_t used[device_count] = {};
int accesses[device_count] = {};  // that are allowed at present

template <class Map> auto last_not_above(Map& map, const void* address) {
  auto next = map.upper_bound(static_cast<const char*>(address));
  return next == map.begin() ? map.end() : std::prev(next);
}

std::string bytes_text(std::size_t bytes) { return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes"); }

cudaError_t allocate(void** result, std::size_t bytes, int device) {
  *result = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::size_t room = (bytes + alignment - 1) / alignment * alignment + gap;
  void* memory = used[device] + bytes <= properties().totalGlobalMem ? std::aligned_alloc(alignment, room) : nullptr;
  if (!memory)
    return refuse(cudaErrorMemoryAllocation,
                  bytes_text(bytes) + " do not fit beside the " + bytes_text(used[device]) + " in use");
  std::memset(memory, 0xff, bytes);  // not numbers: what is read before it is written shows
  forbid_access(static_cast<char*>(memory) + bytes, room - bytes);
  if (accesses[device] == 0) forbid_access(memory, bytes);
  device_memory[static_cast<char*>(memory)] = {static_cast<char*>(memory), bytes, device};
  if (trace::enabled) trace::allocated(memory, bytes);
  used[device] += bytes;
  *result = memory;
  return cudaSuccess;
}

// The device memory that begins there; null if none does.
const Allocation* beginning_at(const void* memory) {
  auto found = device_memory.find(static_cast<const char*>(memory));
  return found == device_memory.end() ? nullptr : &found->second;
}

void release(void* memory) {
  auto found = device_memory.find(static_cast<char*>(memory));
  const std::size_t bytes = found->second.size;
  allow_access(memory, (bytes + alignment - 1) / alignment * alignment + gap);
  if (trace::enabled) trace::freed(memory);
  used[found->second.device] -= bytes;
  device_memory.erase(found);
  std::free(memory);
}

cudaError_t refuse_free(const char* call) {
  return refuse(cudaErrorInvalidValue, std::string(call) + " of what is not the beginning of live device memory");
}

// The device that memory lies on; that of the host lies, for the purposes of a copy, on any.
int device_of_memory(const void* address, int otherwise) {
  const Allocation* found = find_device_memory(address);
  return found ? found->device : otherwise;
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
  if (wrong.empty() && to_device && from_device && device_of_memory(to, 0) != device_of_memory(from, 0))
    wrong = "they lie on two devices; use cudaMemcpyPeerAsync";
  if (wrong.empty()) return cudaSuccess;
  return refuse(cudaErrorInvalidValue, "a copy of " + bytes_text(bytes) + ", " + kinds[kind] + ": " + wrong);
}

void enqueue_copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const int device = device_of(stream), to_device = device_of_memory(to, device);
  const int from_device = device_of_memory(from, device);
  const bool from_memory = find_device_memory(from), to_memory = find_device_memory(to);
  enqueue(stream, [=] {
    const bool was_freed = (to_memory && !find_device_memory(to)) || (from_memory && !find_device_memory(from));
    if (was_freed) throw KernelError("a copy of " + bytes_text(bytes) + ": its memory was freed before it was done");
    const DeviceAccess target(to_device), source(from_device);
    if (bytes > 0) std::memmove(to, from, bytes);
    if (trace::enabled) trace::copied(to, from, bytes);
  });
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

std::string check_operand(const void* address, std::size_t bytes) {
  const std::string wrong = check_device_memory(address, bytes);
  return wrong.empty() ? check_current("memory", find_device_memory(address)->device) : wrong;
}

DeviceAccess::DeviceAccess(int device) : device_(device) {
  if (accesses[device]++ > 0) return;
  for (auto& [begin, memory] : device_memory)
    if (memory.device == device) allow_access(begin, memory.size);
}
DeviceAccess::~DeviceAccess() {
  if (--accesses[device_] > 0) return;
  for (auto& [begin, memory] : device_memory)
    if (memory.device == device_) forbid_access(begin, memory.size);
}

}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cudaError_t cudaMalloc(void** result, size_t bytes) {
  auto device = use_device();
  if (cudaError_t error = refuse_in_strict_capture("cudaMalloc")) return error;
  return allocate(result, bytes, current_device());
}

cudaError_t cudaFree(void* memory) {
  auto device = use_device();
  if (!memory) return cudaDeviceSynchronize();
  const Allocation* found = beginning_at(memory);
  if (!found) return refuse_free("cudaFree");
  synchronize(found->device);
  release(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocAsync(void** result, size_t bytes, cudaStream_t stream) {
  auto device = use_device();
  if (cudaError_t error = refuse_in_capture(stream, "cudaMallocAsync")) return error;
  return allocate(result, bytes, device_of(stream));
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  auto device = use_device();
  if (!memory) return cudaSuccess;
  if (cudaError_t error = refuse_in_capture(stream, "cudaFreeAsync")) return error;
  const Allocation* found = beginning_at(memory);
  if (!found) return refuse_free("cudaFreeAsync");
  if (found->device != device_of(stream))
    return refuse(cudaErrorInvalidValue, "cudaFreeAsync: the memory and the stream belong to two devices");
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
  for (int number = 0; number < device_count; ++number) synchronize(number);
  if (memory && !pinned_memory.erase(static_cast<char*>(memory)))
    return refuse(cudaErrorInvalidValue, "cudaFreeHost of what cudaMallocHost did not give");
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  auto device = use_device();
  auto pinned = last_not_above(pinned_memory, address);
  *attributes = {};
  if (const Allocation* found = find_device_memory(address)) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->device = found->device;
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
  *free = *total - used[current_device()];
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  auto device = use_device();
  if (cudaError_t error = check_copy(to, from, bytes, kind)) return error;
  enqueue_copy(to, from, bytes, stream);
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream) {
  auto device = use_device();
  for (const auto& [name, address, number] :
       {std::tuple{"destination", static_cast<const void*>(to), to_device}, {"source", from, from_device}}) {
    std::string wrong = bytes > 0 ? check_end(name, address, bytes, true) : "";
    if (bytes > 0 && wrong.empty() && device_of_memory(address, number) != number)
      wrong = std::string("the ") + name + " does not lie on device " + std::to_string(number);
    if (!wrong.empty()) return refuse(cudaErrorInvalidValue, "cudaMemcpyPeer: " + wrong);
  }
  enqueue_copy(to, from, bytes, stream);
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t bytes) {
  if (cudaError_t error = cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  auto device = use_device();
  const std::string wrong = bytes > 0 ? check_device_memory(to, bytes) : "";
  if (!wrong.empty()) return refuse(cudaErrorInvalidValue, "cudaMemset: " + wrong);
  const int on = device_of_memory(to, device_of(stream));
  enqueue(stream, [=] {
    const DeviceAccess access(on);
    if (bytes > 0) std::memset(to, value, bytes);
    if (trace::enabled) trace::written(to, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  if (cudaError_t error = cudaMemsetAsync(to, value, bytes, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

// The pools keep nothing back, so what they are told makes no difference.
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }

}  // extern "C"
