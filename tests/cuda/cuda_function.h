#pragma once
// What tests ask of CUDA and of the emulator, compiled without their headers.

#include <cstdlib>
#include <future>

#include "core/cuda.h"

enum cudaError : unsigned;  // CUDA's own type; 0 is success

template <class... Arguments> cudaError (*cuda_function(const char* name))(Arguments...) {
  return reinterpret_cast<cudaError (*)(Arguments...)>(const_cast<void*>(gradus::cuda::find_symbol(name)));
}

/// Plans that the emulated cuDNN has run; null on a GPU.
inline const int64_t* cudnn_runs() {
  return static_cast<const int64_t*>(gradus::cuda::find_symbol("gradus_emulated_cudnn_runs"));
}

/// Calls f with an emulated cuDNN that has engines for "all", only for "float32", or for "none"; in a thread of its
/// own, since plans are kept by thread, also that there is none.
template <class F> void with_cudnn_engines(const char* engines, F&& f) {
  setenv("GRADUS_CUDA_EMULATOR_CUDNN", engines, 1);
  std::async(std::launch::async, f).get();
  unsetenv("GRADUS_CUDA_EMULATOR_CUDNN");
}
