#pragma once
// Making images larger or smaller.

#include <ostream>

#include "core/arg.h"
#include "ops/window.h"

namespace gradus {

enum class Interpolation { nearest, bilinear };
inline std::ostream& operator<<(std::ostream& out, Interpolation mode) {
  return out << (mode == Interpolation::nearest ? "nearest" : "bilinear");
}

struct InterpolateOptions {
  Size2d size = 0;          ///< of the result; or
  double scale_factor = 0;  ///< how many times as high and wide it is
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;  ///< bilinear: the centres of the corner pixels stay where they are, not the corners
};

/// x: [N, C, H, W] → [N, C, size], or [N, C, ⌊H·scale_factor⌋, ⌊W·scale_factor⌋]; all dimensions before the last two
/// are kept.
Tensor interpolate(const Arg& x, const InterpolateOptions& options);

}  // namespace gradus
