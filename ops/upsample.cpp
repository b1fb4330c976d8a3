#include "ops/upsample.h"

#include <algorithm>
#include <cmath>

#include "ops/resample.h"

namespace gradus {
namespace {

// `step`: how far neighbouring outputs lie apart in x.
kernel::Taps taps(int64_t size, int64_t outputs, double step, const InterpolateOptions& options) {
  kernel::Taps result{size};
  const auto last = double(size - 1);
  for (int64_t i = 0; i < outputs; ++i) {
    if (options.mode == Interpolation::nearest) {
      result.add_output(int64_t(std::min(std::floor(double(i) * step), last)), 1, 1, 1);
      continue;
    }
    const double aligned = outputs > 1 ? double(i) * last / double(outputs - 1) : 0;
    const double place = std::clamp(options.align_corners ? aligned : (double(i) + 0.5) * step - 0.5, 0.0, last);
    const auto below = int64_t(place);
    const double fraction = place - double(below);
    result.add_output(below, 1, below < size - 1 ? 2 : 1, 1 - fraction);
    if (below < size - 1) result.weight.back() = fraction;
  }
  return result;
}

}  // namespace

Tensor interpolate(const Arg& x, const InterpolateOptions& options) {
  const Scope scope("interpolate", x.where());
  require_images(*x, 2);
  if ((options.size == Size2d(0)) == (options.scale_factor == 0)) fail("give either size or scale_factor");
  const int64_t height = x->size(-2), width = x->size(-1);
  Size2d size = options.size;
  const double scale = options.scale_factor;
  if (scale != 0) {
    if (!(scale > 0 && scale * double(std::max(height, width)) < 1 << 30))
      fail("scale_factor is " + std::to_string(scale) + "; it must be positive, and not make x too large");
    size = {int64_t(double(height) * scale), int64_t(double(width) * scale)};
  }
  if (std::min(size.height, size.width) < 1 || std::max(size.height, size.width) > 1 << 30)
    fail("x is " + to_string(x->shape()) + " and the size of the result " + to_string(Shape{size.height, size.width}) +
         "; it must be at least 1 and at most 2^30");
  const auto step = [&](int64_t from, int64_t to) { return scale != 0 ? 1 / scale : double(from) / double(to); };
  return resample("interpolate", *x, 2, taps(height, size.height, step(height, size.height), options),
                  taps(width, size.width, step(width, size.width), options));
}

}  // namespace gradus
