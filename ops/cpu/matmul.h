#pragma once
// The matrix product kernel.

#include "core/tensor.h"

namespace gradus::cpu {

/// y = a·b + bias, each factor transposed if it says so, and bias (undefined: none) added to each row. a: [m, k] or
/// [batch, m, k], b: [k, n] or [batch, k, n], bias: [n], of one floating-point dtype; y is contiguous. A factor that
/// has neither rows nor columns without gaps, or holds bfloat16, is copied first.
void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias, const Tensor& y);

}  // namespace gradus::cpu
