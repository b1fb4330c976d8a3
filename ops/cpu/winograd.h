#pragma once
// Convolutions with 3x3 kernels by Winograd's algorithm: see winograd.cpp. All tensors are compact and float32.

#include "ops/cpu/kernels.h"

namespace gradus::cpu::winograd {

bool can_compute(const ConvGeometry& geometry);

/// Whether it takes less time than a product with the matrix of columns.
bool pays(const ConvGeometry& geometry);

/// `bias`: [K], or undefined.
void conv(const ConvGeometry& geometry, const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu,
          const Tensor& y);
void conv_input_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& weight, const Tensor& dx);
void conv_weight_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& x, const Tensor& dweight);

}  // namespace gradus::cpu::winograd
