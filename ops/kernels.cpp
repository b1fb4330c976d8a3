#include "ops/kernels.h"

#include "core/cuda.h"
#include "ops/cpu/kernels.h"

namespace gradus {

const Kernels& kernels(const Tensor& x) {
  static constexpr Kernels of_cpu{
      .copy = cpu::copy,
      .fill = cpu::fill,
      .first_outside = cpu::first_outside,
      .select_slices = cpu::select_slices,
      .add_slices = cpu::add_slices,
      .select_elements = cpu::select_elements,
      .add_elements = cpu::add_elements,
      .copy_slices = cpu::copy_slices,
      .reduce = cpu::reduce,
      .arg_extreme = cpu::arg_extreme,
      .matmul = cpu::matmul,
      .conv = cpu::conv,
      .conv_input_gradient = cpu::conv_input_gradient,
      .conv_weight_gradient = cpu::conv_weight_gradient,
      .softmax = cpu::softmax,
      .softmax_backward = cpu::softmax_backward,
      .cross_entropy = cpu::cross_entropy,
      .cross_entropy_backward = cpu::cross_entropy_backward,
      .norm = cpu::norm,
      .norm_backward = cpu::norm_backward,
      .dropout = cpu::dropout,
      .resample = cpu::resample,
      .max_pool = cpu::max_pool,
      .recurrence = cpu::recurrence,
      .recurrence_backward = cpu::recurrence_backward,
      .attention = cpu::attention,
      .attention_backward = cpu::attention_backward,
      .rotary = cpu::rotary,
  };
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
