#pragma once
// Upsampling, as a layer.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/upsample.h"

namespace gradus::nn {

/// `nn::Upsample{.scale_factor = 2}`; see interpolate.
struct Upsample {
  Size2d size = 0;          ///< of the result; or
  double scale_factor = 0;  ///< how many times as high and wide it is
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  Tensor operator()(const Arg& x) const { return interpolate(x, {size, scale_factor, mode, align_corners}); }
  GRADUS_FIELDS(size, scale_factor, mode, align_corners)
};

}  // namespace gradus::nn
