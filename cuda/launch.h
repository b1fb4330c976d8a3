#pragma once
// How a kernel is started: launch(kernel, {.grid = …, .block = …}, arguments...). Compiled by nvcc it runs on a GPU; by
// the host's compiler, with cuda/emulator/include before the toolkit's headers, on the emulated one.

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

namespace gradus::cuda {

struct LaunchOptions {
  dim3 grid = 1;
  dim3 block = 1;
  std::size_t shared = 0;  // bytes of dynamic shared memory, see DYNAMIC_SHARED
  cudaStream_t stream = nullptr;
};

/// Queues `kernel` on the stream. Returns the error of the launch itself; what goes wrong in the kernel shows later.
template <class... Parameters, class... Arguments> [[nodiscard]] cudaError_t launch(void (*kernel)(Parameters...),
                                                                                    const LaunchOptions& options,
                                                                                    Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "a kernel is given all of its parameters");
#ifdef __CUDACC__
  kernel<<<options.grid, options.block, options.shared, options.stream>>>(
      static_cast<Parameters>(std::forward<Arguments>(arguments))...);
#else
  emulator::launch(options.grid, options.block, options.shared, options.stream, kernel,
                   static_cast<Parameters>(std::forward<Arguments>(arguments))...);
#endif
  return cudaGetLastError();
}

}  // namespace gradus::cuda

/// Declares `type* name`, the dynamic shared memory of the block: as many bytes as the launch asked for.
#ifdef __CUDACC__
#define DYNAMIC_SHARED(type, name)                              \
  extern __shared__ __align__(16) unsigned char name##_bytes[]; \
  type* name = reinterpret_cast<type*>(name##_bytes)
#else
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::gradus::emulator::dynamic_shared_memory())
#endif
