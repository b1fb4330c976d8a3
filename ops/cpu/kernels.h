#pragma once
// The kernels of the CPU; ops/kernels.h says what they do.

#include "ops/kernels.h"

namespace gradus::cpu {

using namespace kernel;

Kernel<decltype(Kernels::copy)> copy;
Kernel<decltype(Kernels::fill)> fill;
Kernel<decltype(Kernels::first_outside)> first_outside;
Kernel<decltype(Kernels::select_slices)> select_slices;
Kernel<decltype(Kernels::add_slices)> add_slices;
Kernel<decltype(Kernels::select_elements)> select_elements;
Kernel<decltype(Kernels::add_elements)> add_elements;
Kernel<decltype(Kernels::copy_slices)> copy_slices;
Kernel<decltype(Kernels::reduce)> reduce;
Kernel<decltype(Kernels::arg_extreme)> arg_extreme;
Kernel<decltype(Kernels::matmul)> matmul;
Kernel<decltype(Kernels::conv)> conv;
Kernel<decltype(Kernels::conv_input_gradient)> conv_input_gradient;
Kernel<decltype(Kernels::conv_weight_gradient)> conv_weight_gradient;
Kernel<decltype(Kernels::softmax)> softmax;
Kernel<decltype(Kernels::softmax_backward)> softmax_backward;
Kernel<decltype(Kernels::cross_entropy)> cross_entropy;
Kernel<decltype(Kernels::cross_entropy_backward)> cross_entropy_backward;
Kernel<decltype(Kernels::norm)> norm;
Kernel<decltype(Kernels::norm_backward)> norm_backward;
Kernel<decltype(Kernels::dropout)> dropout;
Kernel<decltype(Kernels::resample)> resample;
Kernel<decltype(Kernels::max_pool)> max_pool;
Kernel<decltype(Kernels::recurrence)> recurrence;
Kernel<decltype(Kernels::recurrence_backward)> recurrence_backward;
Kernel<decltype(Kernels::attention)> attention;
Kernel<decltype(Kernels::attention_backward)> attention_backward;
Kernel<decltype(Kernels::rotary)> rotary;
}  // namespace gradus::cpu
