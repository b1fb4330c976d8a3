#pragma once
// Upsampling, as a layer.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/upsample.h"

namespace gradus::nn {

/// `nn::Upsample{.scale_factor = 2}`; see interpolate.
struct Upsample {
  std::optional<Size2d> size = {};
  std::optional<double> scale_factor = {};
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  Tensor operator()(const Arg& x) const { return interpolate(x, {size, scale_factor, mode, align_corners}); }
  GRADUS_FIELDS(size, scale_factor, mode, align_corners)
};

}  // namespace gradus::nn
