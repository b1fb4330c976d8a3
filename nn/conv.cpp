#include "nn/conv.h"

#include <algorithm>
#include <cmath>

#include "nn/init.h"

namespace gradus::nn {
namespace {

// Fills in weight [first, second / groups, kernel…] and bias; the fan in is what PyTorch takes for it: all of the
// weight but its first dimension.
void initialize(Tensor& weight, Tensor& bias, int64_t in, int64_t out, bool transposed, const Shape& kernel,
                int64_t groups, bool with_bias) {
  const bool fits = groups >= 1 && in % groups == 0 && out % groups == 0;
  if (in < 1 || out < 1 || !fits)
    fail("in_channels is " + std::to_string(in) + ", out_channels " + std::to_string(out) + " and groups " +
         std::to_string(groups) + "; the channels must be at least 1, and multiples of groups");
  if (*std::min_element(kernel.begin(), kernel.end()) < 1)
    fail("kernel_size is " + to_string(kernel) + "; it must be at least 1");
  Shape shape{transposed ? in : out, (transposed ? out : in) / groups};
  for (int64_t size : kernel) shape.push_back(size);
  weight = Tensor::empty(shape);
  const double bound = 1 / std::sqrt(double(shape.numel() / shape[0]));
  init::uniform_(weight, -bound, bound).requires_grad();
  if (with_bias) bias = init::uniform_(Tensor::empty({out}), -bound, bound).requires_grad();
}

void initialize(ConvLayer& layer, int64_t in, int64_t out, const Shape& kernel, const ConvLayerOptions& options) {
  initialize(layer.weight, layer.bias, in, out, false, kernel, options.groups, options.bias);
  layer.options = {options.stride, options.padding, options.dilation, options.groups, options.relu};
}

void initialize(ConvTransposeLayer& layer, int64_t in, int64_t out, const Shape& kernel,
                const ConvTransposeLayerOptions& options) {
  initialize(layer.weight, layer.bias, in, out, true, kernel, options.groups, options.bias);
  layer.options = {options.stride, options.padding, options.output_padding, options.groups, options.dilation};
}

}  // namespace

Conv2d::Conv2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, ConvLayerOptions given, Location where) {
  const Scope scope("Conv2d", where);
  initialize(*this, in_channels, out_channels, {kernel_size.height, kernel_size.width}, given);
}

Conv1d::Conv1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size, ConvLayerOptions given, Location where) {
  const Scope scope("Conv1d", where);
  initialize(*this, in_channels, out_channels, {kernel_size}, given);
}

ConvTranspose2d::ConvTranspose2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size,
                                 ConvTransposeLayerOptions given, Location where) {
  const Scope scope("ConvTranspose2d", where);
  initialize(*this, in_channels, out_channels, {kernel_size.height, kernel_size.width}, given);
}

ConvTranspose1d::ConvTranspose1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                                 ConvTransposeLayerOptions given, Location where) {
  const Scope scope("ConvTranspose1d", where);
  initialize(*this, in_channels, out_channels, {kernel_size}, given);
}

}  // namespace gradus::nn
