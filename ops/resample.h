#pragma once
// The linear step behind average pooling and interpolation. Not part of the public interface.

#include "core/arg.h"
#include "ops/kernels.h"

namespace gradus {

/// R·x·Cᵀ for each image of x: [..., H, W], as a step that is called `name`. In one dimension x is [..., L] and R is 1.
Tensor resample(const char* name, const Tensor& x, int dims, kernel::Taps rows, kernel::Taps columns);

/// What x must be: of floating point, and not empty in its last `dims` dimensions.
void require_images(const Tensor& x, int dims);

/// The map from one element to itself.
kernel::Taps one_to_one();

}  // namespace gradus
