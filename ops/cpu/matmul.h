#pragma once
// The matrix product kernel.

#include "core/tensor.h"

namespace gradus::cpu {

/// y = a·b + bias, each factor transposed if it says so, and bias (undefined: none) added to each row. a: [m, k] or
/// [batch, m, k], b: [k, n] or [batch, k, n], each with rows or columns that lie without gaps; bias: [n] and y
/// contiguous. float32 or float64; y may be bfloat16.
void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, const Tensor& y);

}  // namespace gradus::cpu
