#pragma once
// Convolution layers.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/conv.h"

namespace gradus::nn {

struct ConvLayerOptions {
  Size2d stride = 1;
  Padding padding = 0;  ///< a number for both sides, or Padding::same
  Size2d dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  bool relu = false;  ///< of the result: in the same step, if there is a bias
};

/// What Conv1d and Conv2d consist of.
struct ConvLayer {
  Tensor weight;  ///< [out_channels, in_channels / groups, kernel_size…]
  Tensor bias;    ///< [out_channels]; undefined without a bias
  ConvOptions options;

  template <class F> void each(F&& f) const {
    f("weight", weight), f("bias", bias), f("stride", options.stride), f("padding", options.padding),
        f("dilation", options.dilation), f("groups", options.groups);
    if (options.relu) f("relu", options.relu);
  }
};

/// x: [N, in_channels, H, W] → [N, out_channels, …]; see conv2d. `nn::Conv2d conv{1, 32, 3, {.padding = 1}};`
struct Conv2d : ConvLayer {
  /// Weight and bias are uniform in ±1/√(in_channels / groups · kernel elements), as in PyTorch.
  Conv2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, ConvLayerOptions options = {},
         Location where = Location::here());
  Tensor operator()(const Arg& x) const { return conv2d(x, weight, bias, options); }
};

/// x: [N, in_channels, L] → [N, out_channels, …]; see conv1d.
struct Conv1d : ConvLayer {
  Conv1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size, ConvLayerOptions options = {},
         Location where = Location::here());
  Tensor operator()(const Arg& x) const { return conv1d(x, weight, bias, options); }
};

struct ConvTransposeLayerOptions {
  Size2d stride = 1, padding = 0, output_padding = 0;
  int64_t groups = 1;
  bool bias = true;
  Size2d dilation = 1;
};

/// What ConvTranspose1d and ConvTranspose2d consist of.
struct ConvTransposeLayer {
  Tensor weight;  ///< [in_channels, out_channels / groups, kernel_size…]
  Tensor bias;    ///< [out_channels]; undefined without a bias
  ConvTransposeOptions options;

  template <class F> void each(F&& f) const {
    f("weight", weight), f("bias", bias), f("stride", options.stride), f("padding", options.padding),
        f("output_padding", options.output_padding), f("groups", options.groups), f("dilation", options.dilation);
  }
};

/// x: [N, in_channels, H, W] → [N, out_channels, …]; see conv_transpose2d.
struct ConvTranspose2d : ConvTransposeLayer {
  ConvTranspose2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, ConvTransposeLayerOptions options = {},
                  Location where = Location::here());
  Tensor operator()(const Arg& x) const { return conv_transpose2d(x, weight, bias, options); }
};

/// x: [N, in_channels, L] → [N, out_channels, …]; see conv_transpose1d.
struct ConvTranspose1d : ConvTransposeLayer {
  ConvTranspose1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                  ConvTransposeLayerOptions options = {}, Location where = Location::here());
  Tensor operator()(const Arg& x) const { return conv_transpose1d(x, weight, bias, options); }
};

}  // namespace gradus::nn
