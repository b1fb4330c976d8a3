#pragma once
// Reduction kernels. Results do not depend on the number of threads.

#include "core/tensor.h"

namespace gradus::cpu {

enum class Reduction { sum, maximum, minimum };

/// y = scale · (x reduced over the dimensions whose bit is set in `dims`). y is contiguous, with the kept dimensions in
/// order, in x's dtype (a sum of bools in int64).
void reduce(Reduction reduction, const Tensor& x, unsigned dims, double scale, const Tensor& y);

/// The index of the first largest (or smallest) element along the last dimension of a contiguous x: [rows, n] → [rows].
void arg_extreme(bool largest, const Tensor& x, int64_t n, const Tensor& y);

}  // namespace gradus::cpu
