#pragma once
// Functions of CUDA for tests that are compiled without its headers.

#include "core/cuda.h"

enum cudaError : unsigned;  // CUDA's own type; 0 is success

template <class... Arguments> cudaError (*cuda_function(const char* name))(Arguments...) {
  return reinterpret_cast<cudaError (*)(Arguments...)>(const_cast<void*>(gradus::cuda::find_symbol(name)));
}
