#pragma once
// Pooling: each output is the largest, or the average, of the inputs in a window. Windows move over the last dimension
// (1d) or the last two (2d); all dimensions before them are kept.

#include "core/arg.h"
#include "ops/window.h"

namespace gradus {

struct MaxPoolOptions {
  Size2d stride = 0;       ///< how far the window moves; 0: its own size
  Size2d padding = 0;      ///< of −∞ on both sides; at most half the window
  Size2d dilation = 1;     ///< how far apart the inputs in a window lie
  bool ceil_mode = false;  ///< windows may reach beyond the end, as long as they begin before it
};
struct AvgPoolOptions {
  Size2d stride = 0;
  Size2d padding = 0;  ///< of zeros
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< the padding counts in the average
};

/// x: [N, C, H, W] → [N, C, (H + 2·padding − dilation·(kernel height − 1) − 1) / stride + 1, …]. The gradient goes to
/// the largest element of each window, the first one if there are several. NaN counts as the largest.
Tensor max_pool2d(const Arg& x, Size2d kernel_size, const MaxPoolOptions& options = {});
Tensor avg_pool2d(const Arg& x, Size2d kernel_size, const AvgPoolOptions& options = {});
/// x: [N, C, L].
Tensor max_pool1d(const Arg& x, int64_t kernel_size, const MaxPoolOptions& options = {});
Tensor avg_pool1d(const Arg& x, int64_t kernel_size, const AvgPoolOptions& options = {});

/// x: [N, C, H, W] → [N, C, output_size]: windows ⌊i·H / output⌋ up to ⌈(i + 1)·H / output⌉. An output size of 1 pools
/// each image as a whole.
Tensor adaptive_avg_pool2d(const Arg& x, Size2d output_size);
Tensor adaptive_max_pool2d(const Arg& x, Size2d output_size);
/// x: [N, C, L].
Tensor adaptive_avg_pool1d(const Arg& x, int64_t output_size);
Tensor adaptive_max_pool1d(const Arg& x, int64_t output_size);

}  // namespace gradus
