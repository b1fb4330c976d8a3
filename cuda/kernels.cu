// The table of kernels that the core library looks up.

#include "cuda/kernels.h"

extern "C" const gradus::Kernels gradus_cuda_kernels{
    .copy = gradus::cuda::copy,
    .fill = gradus::cuda::fill,
    .first_outside = gradus::cuda::first_outside,
    .select_slices = gradus::cuda::select_slices,
    .add_slices = gradus::cuda::add_slices,
    .select_elements = gradus::cuda::select_elements,
    .add_elements = gradus::cuda::add_elements,
    .copy_slices = gradus::cuda::copy_slices,
    .reduce = gradus::cuda::reduce,
    .arg_extreme = gradus::cuda::arg_extreme,
    .matmul = gradus::cuda::matmul,
    .conv = gradus::cuda::conv,
    .conv_input_gradient = gradus::cuda::conv_input_gradient,
    .conv_weight_gradient = gradus::cuda::conv_weight_gradient,
    .softmax = gradus::cuda::softmax,
    .softmax_backward = gradus::cuda::softmax_backward,
    .cross_entropy = gradus::cuda::cross_entropy,
    .cross_entropy_backward = gradus::cuda::cross_entropy_backward,
    .norm = gradus::cuda::norm,
    .norm_backward = gradus::cuda::norm_backward,
    .dropout = gradus::cuda::dropout,
    .resample = gradus::cuda::resample,
    .max_pool = gradus::cuda::max_pool,
    .recurrence = gradus::cuda::recurrence,
    .recurrence_backward = gradus::cuda::recurrence_backward,
    .attention = gradus::cuda::attention,
    .attention_backward = gradus::cuda::attention_backward,
    .rotary = gradus::cuda::rotary,
};
