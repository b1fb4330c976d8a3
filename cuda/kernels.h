#pragma once
// The kernels of GPUs; ops/kernels.h says what they do.

#include "ops/kernels.h"

namespace gradus::cuda {

using namespace kernel;
GRADUS_KERNELS(GRADUS_DECLARE_KERNEL)

/// Zeros in place of negative numbers; NaN stays.
void rectify(const Tensor& y);

}  // namespace gradus::cuda
