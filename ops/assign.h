#pragma once
// Changing tensors in place: for parameters, buffers and initialisers, never for results of recorded steps.

#include "core/arg.h"

namespace gradus {

/// Copies `source` into `target`, of the same shape and any dtype and strides. The target must be a leaf; if it
/// requires a gradient, recording must be off (NoGrad). Counts as a change in place of everything that shares its
/// memory.
void assign(const Tensor& target, const Arg& source);
/// Sets every element; the same rules.
void fill(const Tensor& target, double value, Location where = Location::here());

}  // namespace gradus
