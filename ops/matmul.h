#pragma once
// Matrix products.

#include "core/arg.h"

namespace gradus {

/// The matrix product of the last two dimensions: a: […, m, k], b: […, k, n] → […, m, n]; the dimensions before them
/// broadcast. A vector a counts as one row, a vector b as one column; that dimension is left out of the result.
/// Transposed operands are used as they lie.
Tensor matmul(const Arg& a, const Arg& b);

struct LinearOptions {
  bool relu = false;  ///< of the result: in the same step, if there is a bias
};

/// x·weightᵀ + bias in one step. x: […, in], weight: [out, in], bias: [out] or undefined → […, out].
Tensor linear(const Arg& x, const Tensor& weight, const Tensor& bias = {}, LinearOptions options = {});

}  // namespace gradus
