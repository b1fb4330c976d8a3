#pragma once
// The kernels of the CPU; ops/kernels.h says what they do.

#include "ops/kernels.h"

namespace gradus::cpu {

using namespace kernel;
GRADUS_KERNELS(GRADUS_DECLARE_KERNEL)

}  // namespace gradus::cpu
