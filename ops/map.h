#pragma once
// Elementwise operations: any formula struct, applied to tensors of shapes that broadcast.

#include "core/arg.h"
#include "ops/formula.h"

namespace gradus {

/// Applies a formula to every element. Operands are promoted to a common dtype (as in PyTorch: numbers and scalars do
/// not widen tensors of their kind) and broadcast to a common shape (NumPy's rule).
///
/// Instantiated for the formulas listed in ops/; a program that brings its own includes ops/custom.h.
template <class Op> Tensor map(const Op& op, const Arg& x);
template <class Op> Tensor map(const Op& op, const Arg& a, const Arg& b);
template <class Op> Tensor map(const Op& op, const Arg& a, const Arg& b, const Arg& c);

}  // namespace gradus
