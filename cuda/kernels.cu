// The table of kernels that the core library looks up.

#include "cuda/kernels.h"

#define GRADUS_KERNEL_OF_CUDA(name) .name = gradus::cuda::name,
extern "C" const gradus::Kernels gradus_cuda_kernels{GRADUS_KERNELS(GRADUS_KERNEL_OF_CUDA)};
