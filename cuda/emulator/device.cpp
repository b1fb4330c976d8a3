#include "device.h"

#include <cstdio>
#include <cstring>
#include <map>

#include "emulator/emulator.h"
#include "trace.h"

namespace gradus::emulator {

std::unique_lock<std::recursive_mutex> use_device() {
  static std::recursive_mutex mutex;
  static const bool announced = [] {
    std::string order;
    if (settings().shuffle) order = ", in an order shuffled by the seed " + std::to_string(settings().shuffle);
    if (trace::enabled) order += "; every access to memory is traced";
    else if (settings().report) order += "; GRADUS_CUDA_REPORT needs the preset emulated-traced";
    std::fprintf(stderr, "gradus: the CUDA device is emulated on the CPU%s\n", order.c_str());
    return true;
  }();
  (void)announced;
  return std::unique_lock(mutex);
}

// What a kernel may ask of an A100, with a memory that a workstation can back.
const cudaDeviceProp& properties() {
  static const cudaDeviceProp properties = [] {
    cudaDeviceProp p{};
    std::strcpy(p.name, "Emulated A100");
    p.major = 8;
    p.minor = 0;
    p.multiProcessorCount = 108;
    p.warpSize = 32;
    p.totalGlobalMem = std::size_t{8} << 30;
    p.totalConstMem = 64 << 10;
    p.l2CacheSize = 40 << 20;
    p.memoryBusWidth = 5120;
    p.sharedMemPerBlock = 48 << 10;
    p.sharedMemPerBlockOptin = 163 << 10;
    p.sharedMemPerMultiprocessor = 164 << 10;
    p.reservedSharedMemPerBlock = 1 << 10;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.maxThreadsPerBlock = 1024;
    p.maxThreadsPerMultiProcessor = 2048;
    p.maxBlocksPerMultiProcessor = 32;
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
    p.maxThreadsDim[2] = 64;
    p.maxGridSize[0] = 2147483647;
    p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.asyncEngineCount = 3;
    p.concurrentKernels = p.unifiedAddressing = p.memoryPoolsSupported = 1;
    return p;
  }();
  return properties;
}

static constinit thread_local int chosen = 0;

int current_device() { return chosen; }

std::string check_current(const char* what, int device) {
  if (device == chosen) return "";
  return std::string("the ") + what + " belongs to device " + std::to_string(device) + ", and device " +
         std::to_string(chosen) + " is current";
}

// By kernel and device.
static std::map<std::pair<const void*, int>, int>& raised_limits() {
  static std::map<std::pair<const void*, int>, int> limits;
  return limits;
}

std::size_t dynamic_shared_limit(const void* kernel) {
  auto raised = raised_limits().find({kernel, chosen});
  return raised == raised_limits().end() ? properties().sharedMemPerBlock : static_cast<std::size_t>(raised->second);
}

}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  auto device = use_device();
  *count = device_count;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* number) {
  *number = chosen;
  return cudaSuccess;
}

static cudaError_t check_number(int number) {
  if (number >= 0 && number < device_count) return cudaSuccess;
  return refuse(cudaErrorInvalidDevice,
                "there are " + std::to_string(device_count) + " devices, and no " + std::to_string(number));
}

cudaError_t cudaSetDevice(int number) {
  auto device = use_device();
  if (cudaError_t error = check_number(number)) return error;
  chosen = number;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* result, int number) {
  *result = properties();
  return check_number(number);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
  const cudaDeviceProp& p = properties();
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
    case cudaDevAttrMaxBlockDimX: *value = p.maxThreadsDim[0]; break;
    case cudaDevAttrMaxBlockDimY: *value = p.maxThreadsDim[1]; break;
    case cudaDevAttrMaxBlockDimZ: *value = p.maxThreadsDim[2]; break;
    case cudaDevAttrMaxGridDimX: *value = p.maxGridSize[0]; break;
    case cudaDevAttrMaxGridDimY: *value = p.maxGridSize[1]; break;
    case cudaDevAttrMaxGridDimZ: *value = p.maxGridSize[2]; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(p.sharedMemPerBlock); break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(p.sharedMemPerBlockOptin); break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = static_cast<int>(p.sharedMemPerMultiprocessor); break;
    case cudaDevAttrWarpSize: *value = p.warpSize; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = p.regsPerBlock; break;
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
    case cudaDevAttrCooperativeLaunch: *value = 0; break;
    default:
      return refuse(cudaErrorNotSupported,
                    "the emulated device does not know the attribute " + std::to_string(attribute));
  }
  return check_number(number);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  auto device = use_device();
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<std::size_t>(value) > properties().sharedMemPerBlockOptin)
    return refuse(cudaErrorInvalidValue, std::to_string(value) + " bytes of shared memory; a block may have " +
                                             std::to_string(properties().sharedMemPerBlockOptin));
  raised_limits()[{kernel, chosen}] = value;
  return cudaSuccess;
}

// As far as threads and dynamic shared memory go: nobody has counted registers.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, size_t shared) {
  auto device = use_device();
  const cudaDeviceProp& p = properties();
  if (threads < 1 || threads > p.maxThreadsPerBlock || shared > p.sharedMemPerBlockOptin)
    return refuse(cudaErrorInvalidValue, "no such block can run");
  const std::size_t by_memory = p.sharedMemPerMultiprocessor / (shared + p.reservedSharedMemPerBlock);
  const int by_threads = p.maxThreadsPerMultiProcessor / ((threads + 31) / 32 * 32);
  *blocks = min(min(by_threads, p.maxBlocksPerMultiProcessor), static_cast<int>(by_memory));
  return cudaSuccess;
}

}  // extern "C"
