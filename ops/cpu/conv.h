#pragma once
// The three convolution kernels: each is a gradient of the other two.

#include "core/tensor.h"
#include "ops/window.h"

namespace gradus::cpu {

/// y[n, k, i, j] = Σ weight[k, c, a, b]·x[n, c, i·stride + a·dilation − padding, j·stride + b·dilation − padding], with
/// zeros outside of x. Each of the `groups` has its own channels of x, of y, and its own weights.
struct ConvGeometry {
  Shape x;                                       ///< [N, C, H, W]
  Shape weight;                                  ///< [K, C / groups, kernel height, kernel width]
  Shape y;                                       ///< [N, K, output height, output width]
  Size2d stride = 1, padding = 0, dilation = 1;  ///< padding: before the first row and the first column
  int64_t groups = 1;
};

// Tensors of any strides; results contiguous, the same for any number of threads. `bias`: [K], or undefined.
void conv(const ConvGeometry& geometry, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y);
void conv_input_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& weight, const Tensor& dx);
void conv_weight_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& x, const Tensor& dweight);

}  // namespace gradus::cpu
