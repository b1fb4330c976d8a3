#pragma once
// From a launch in host code to the threads that run it.

#include <cstddef>
#include <memory>
#include <utility>

namespace gradus::emulator {

/// A kernel and its arguments, ready to be run once by every thread. As in CUDA, arguments are copied at the launch.
struct Kernel {
  const void* function = nullptr;
  std::shared_ptr<void> call;  // the function bound to its arguments
  std::size_t call_size = 0;
  void (*run)(void* call) = nullptr;
};

struct Launch {
  Kernel kernel;
  dim3 grid, block;
  std::size_t shared = 0;
  int device = 0;
};

/// Queues the launch, or returns what CUDA would refuse it with.
cudaError_t launch(Launch launch, cudaStream_t stream);

template <class... Parameters> cudaError_t launch(dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream,
                                                  void (*kernel)(Parameters...),
                                                  std::type_identity_t<Parameters>... arguments) {
  auto call = [kernel, ... values = std::move(arguments)] { kernel(values...); };
  using Call = decltype(call);
  return launch({{reinterpret_cast<const void*>(kernel), std::make_shared<Call>(std::move(call)), sizeof(Call),
                  [](void* it) { (*static_cast<Call*>(it))(); }},
                 grid,
                 block,
                 shared},
                stream);
}

/// The dynamic shared memory of the current block.
void* dynamic_shared_memory();

}  // namespace gradus::emulator
