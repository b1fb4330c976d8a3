#include "emulator/occupancy.h"

#include <cuda_occupancy.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "device.h"

namespace gradus::emulator {
namespace {

// In what GPUs differ, from NVIDIA's programming guide; the rest is that of the emulated one.
struct Gpu {
  const char* name;
  int major, minor, threads, shared;  // compute capability; threads and KiB of shared memory of a multiprocessor
};
constexpr Gpu gpus[] = {{"T4", 7, 5, 1024, 64},
                        {"A100", 8, 0, 2048, 164},
                        {"RTX4090", 8, 9, 1536, 100},
                        {"H100", 9, 0, 2048, 228},
                        {"B200", 10, 0, 2048, 228}};

cudaDeviceProp properties_of(const Gpu& gpu) {
  cudaDeviceProp p = properties();
  p.major = gpu.major;
  p.minor = gpu.minor;
  p.maxThreadsPerMultiProcessor = gpu.threads;
  p.reservedSharedMemPerBlock = gpu.major < 8 ? 0 : 1 << 10;
  p.sharedMemPerMultiprocessor = static_cast<std::size_t>(gpu.shared) << 10;
  p.sharedMemPerBlockOptin = p.sharedMemPerMultiprocessor - p.reservedSharedMemPerBlock;
  return p;
}

}  // namespace

std::map<std::string, Resources> read_resources(const std::string& path) {
  std::map<std::string, Resources> all;
  std::ifstream file(path);
  Resources next;
  for (std::string kernel; file >> next.registers >> next.shared && std::getline(file >> std::ws, kernel);)
    all[kernel] = next;
  return all;
}

std::string occupancy(const std::string& name, const Resources& resources, int threads, std::size_t dynamic_shared) {
  const Gpu* gpu = std::find_if(std::begin(gpus), std::end(gpus), [&](const Gpu& each) { return each.name == name; });
  if (gpu == std::end(gpus)) return "unknown on " + name + "; known are T4, A100, RTX4090, H100 and B200";
  const cudaOccDeviceProp device(properties_of(*gpu));
  cudaFuncAttributes kernel{};
  kernel.maxThreadsPerBlock = device.maxThreadsPerBlock;
  kernel.numRegs = resources.registers;
  kernel.sharedSizeBytes = resources.shared;
  kernel.maxDynamicSharedSizeBytes = static_cast<int>(dynamic_shared);
  const cudaOccFuncAttributes attributes(kernel);
  const cudaOccDeviceState state;
  cudaOccResult result;
  if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &attributes, &state, threads, dynamic_shared))
    return "unknown on " + name + "; the CUDA toolkit is older than that";
  std::string limits;
  const auto add = [&](cudaOccLimitingFactor factor, const std::string& what) {
    if (result.limitingFactors & factor) limits += (limits.empty() ? "" : ", ") + what;
  };
  add(OCC_LIMIT_WARPS, "threads");
  add(OCC_LIMIT_BLOCKS, "blocks");
  add(OCC_LIMIT_REGISTERS, std::to_string(resources.registers) + " registers a thread");
  add(OCC_LIMIT_SHARED_MEMORY, std::to_string(resources.shared + dynamic_shared) + " bytes of shared memory a block");
  const int blocks = result.activeBlocksPerMultiprocessor, warps = blocks * ((threads + 31) / 32);
  char share[16];
  std::snprintf(share, sizeof share, "%.0f %%", 100. * 32 * warps / gpu->threads);
  return share + (" on " + name) + " (" + std::to_string(blocks) + (blocks == 1 ? " block" : " blocks") + " of " +
         std::to_string(threads) + " threads; limited by " + limits + ")";
}

}  // namespace gradus::emulator
