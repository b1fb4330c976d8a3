#include "ops/kernels.h"

#include "core/cuda.h"
#include "ops/cpu/kernels.h"

namespace gradus {

#define GRADUS_KERNEL_OF_CPU(name) .name = cpu::name,
const Kernels& kernels(const Tensor& x) {
  static constexpr Kernels of_cpu{GRADUS_KERNELS(GRADUS_KERNEL_OF_CPU)};
  if (x.device().is_cpu()) return of_cpu;
  static const auto* of_gpu = static_cast<const Kernels*>(cuda::find_symbol("gradus_cuda_kernels"));
  return *of_gpu;
}

const FormulaKernels& formula_kernels(const Tensor&) {
  static const auto* of_gpu = static_cast<const FormulaKernels*>(cuda::find_symbol("gradus_cuda_formulas"));
  return *of_gpu;
}

Tensor compact(const Tensor& x, Dtype dtype) {
  if (x.dtype() == dtype && x.is_contiguous()) return x;
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  kernels(x).copy(x, y);
  return y;
}

}  // namespace gradus
