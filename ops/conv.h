#pragma once
// Convolutions, in one and two dimensions, and transposed ones. x may also be a single example, without N; so is the
// result then.

#include "core/arg.h"
#include "ops/window.h"

namespace gradus {

struct ConvOptions {
  Size2d stride = 1;
  Padding padding = 0;
  Size2d dilation = 1;  ///< how far apart the inputs under the kernel lie
  int64_t groups = 1;   ///< the channels are cut into so many parts that know nothing of each other
  bool relu = false;    ///< of the result: in the same step, if there is a bias
};

/// x: [N, C, H, W], weight: [K, C / groups, kernel height, kernel width], bias: [K] or undefined → [N, K, …].
/// y[n, k, i, j] = bias[k] + Σ weight[k, c, a, b]·x[n, c, i·stride + a·dilation − padding, …].
Tensor conv2d(const Arg& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});
/// x: [N, C, L], weight: [K, C / groups, kernel], bias: [K] or undefined → [N, K, …].
Tensor conv1d(const Arg& x, const Tensor& weight, const Tensor& bias = {}, const ConvOptions& options = {});

struct ConvTransposeOptions {
  Size2d stride = 1, padding = 0;
  Size2d output_padding = 0;  ///< so much larger is the output; less than the stride or the dilation
  int64_t groups = 1;
  Size2d dilation = 1;
};

/// The gradient of conv2d with respect to its input, as an operation of its own: it turns the output's size back into
/// the input's. x: [N, C, H, W], weight: [C, K / groups, kernel height, kernel width], bias: [K] or undefined →
/// [N, K, (H − 1)·stride − 2·padding + dilation·(kernel height − 1) + output_padding + 1, …].
Tensor conv_transpose2d(const Arg& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
/// The same in one dimension. x: [N, C, L], weight: [C, K / groups, kernel].
Tensor conv_transpose1d(const Arg& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

}  // namespace gradus
