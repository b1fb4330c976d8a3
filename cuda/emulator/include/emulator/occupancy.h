#pragma once
// How many threads of a kernel a multiprocessor of some GPU holds at a time.

#include <cstddef>
#include <map>
#include <string>

namespace gradus::emulator {

/// What nvcc's assembler made of a kernel.
struct Resources {
  int registers = 0;       // of a thread
  std::size_t shared = 0;  // bytes of static shared memory of a block
};

/// By the names of kernels, from a file that `scripts/cuda-kernels --registers` wrote. Empty if there is none.
std::map<std::string, Resources> read_resources(const std::string& path);

/// "75 % on A100 (6 blocks of 256 threads; limited by 40 registers a thread)", for blocks of so many threads and so
/// many bytes of dynamic shared memory. From NVIDIA's own calculator, for T4, A100, RTX4090, H100 and B200.
std::string occupancy(const std::string& gpu, const Resources& resources, int threads, std::size_t dynamic_shared = 0);

}  // namespace gradus::emulator
