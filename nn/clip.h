#pragma once
// Keeping gradients small.

#include <vector>

#include "core/tensor.h"

namespace gradus {

/// Scales the gradients of `parameters` down so that the norm of all of them together is at most `max_norm`; returns
/// what the norm was: float64, a scalar on the device of the first gradient. `norm_type` p: (Σ|g|ᵖ)^(1/p), or the
/// largest |g| for infinity. A norm that is not finite is an error, for which the program waits for the device; a CUDA
/// graph can record it without `error_if_nonfinite`. Pascanu et al., "On the difficulty of training recurrent neural
/// networks", 2013.
Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type = 2,
                       bool error_if_nonfinite = true, Location where = Location::here());

/// Cuts every element of the gradients off at ±clip_value.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value, Location where = Location::here());

}  // namespace gradus
