#pragma once
// What tests ask of CUDA and of the emulator, compiled without their headers.

#include <doctest/doctest.h>

#include <cstdlib>
#include <future>

#include "core/cuda.h"

enum cudaError : unsigned;  // CUDA's own type; 0 is success

template <class... Arguments> cudaError (*cuda_function(const char* name))(Arguments...) {
  return reinterpret_cast<cudaError (*)(Arguments...)>(const_cast<void*>(gradus::cuda::find_symbol(name)));
}

/// Calls f, and checks how many plans the emulated cuDNN runs until it returns; on a GPU they are not counted.
template <class F> void check_cudnn_runs(int64_t expected, F&& f) {
  const auto* runs = static_cast<const int64_t*>(gradus::cuda::find_symbol("gradus_emulated_cudnn_runs"));
  const int64_t before = runs ? *runs : 0;
  f();
  if (runs) CHECK(*runs - before == expected);
}

/// Calls f with an emulated cuDNN that has engines for "all", only for "float32", or for "none"; in a thread of its
/// own, since plans are kept by thread, also that there is none.
template <class F> void with_cudnn_engines(const char* engines, F&& f) {
  setenv("GRADUS_CUDA_EMULATOR_CUDNN", engines, 1);
  std::async(std::launch::async, f).get();
  unsetenv("GRADUS_CUDA_EMULATOR_CUDNN");
}
