#include "ops/conv.h"

#include <algorithm>

#include "ops/activation.h"
#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus {
namespace {

// Convolution is a closed set: it is linear in the input and in the weight, so each of the three steps has the other
// two for gradients, to any order.
using kernel::ConvGeometry;

Tensor convolution(const ConvGeometry& geometry, const Tensor& input, const Tensor& kernel, const Tensor& bias,
                   bool with_relu) {
  const Tensor result = Tensor::empty(geometry.y, input.dtype(), input.device());
  kernels(input).conv(geometry, input, kernel, bias, with_relu, result);
  return result;
}

struct Conv : ConvGeometry {
  static constexpr Info info{"conv2d", "conv2d($0, $1)"};
  Tensor forward(const Tensor& input, const Tensor& kernel) const {
    return convolution(*this, input, kernel, {}, false);
  }
  auto backward(const Tensor& dy, const Tensor& input, const Tensor& kernel) const;
};

/// With a bias, and its ReLU if there is to be one.
struct ConvWithBias : ConvGeometry {
  static constexpr Info info{"conv2d"};
  bool with_relu;
  Tensor forward(const Tensor& input, const Tensor& kernel, const Tensor& bias) const {
    return convolution(*this, input, kernel, bias, with_relu);
  }
  auto backward(const Tensor& dy, const Tensor& input, const Tensor& kernel, Unused, const SavedOutput& output) const;
  bool reads_output() const { return with_relu; }
  std::string formula(std::span<const std::string> names) const {
    const std::string sum = "conv2d(" + names[0] + ", " + names[1] + ") + " + names[2];
    return with_relu ? "relu(" + sum + ")" : sum;
  }
};

struct ConvInputGradient : ConvGeometry {
  static constexpr Info info{"conv_transpose2d", "conv_transpose2d($0, $1)"};
  Tensor forward(const Tensor& dy, const Tensor& kernel) const {
    const Tensor dx = Tensor::empty(x, dy.dtype(), dy.device());
    kernels(dy).conv_input_gradient(*this, dy, kernel, dx);
    return dx;
  }
  auto backward(const Tensor& g, const Tensor& dy, const Tensor& kernel) const;
};

struct ConvWeightGradient : ConvGeometry {
  static constexpr Info info{"conv2d_weight", "conv2d_weight($0, $1)"};
  Tensor forward(const Tensor& dy, const Tensor& input) const {
    const Tensor dweight = Tensor::empty(weight, dy.dtype(), dy.device());
    kernels(dy).conv_weight_gradient(*this, dy, input, dweight);
    return dweight;
  }
  auto backward(const Tensor& g, const Tensor& dy, const Tensor& input) const {
    return std::tuple([=, this] { return apply(Conv{*this}, input, g); },
                      [=, this] { return apply(ConvInputGradient{*this}, dy, g); });
  }
};

auto Conv::backward(const Tensor& dy, const Tensor& input, const Tensor& kernel) const {
  return std::tuple([=, this] { return apply(ConvInputGradient{*this}, dy, kernel); },
                    [=, this] { return apply(ConvWeightGradient{*this}, dy, input); });
}

auto ConvWithBias::backward(const Tensor& dy, const Tensor& input, const Tensor& kernel, Unused,
                            const SavedOutput& output) const {
  Tensor dsum = with_relu ? relu_backward(dy, output) : dy;
  return std::tuple([=, this] { return apply(ConvInputGradient{*this}, dsum, kernel); },
                    [=, this] { return apply(ConvWeightGradient{*this}, dsum, input); },
                    [dsum] {
                      return sum(dsum, {0, 2, 3});
                    });
}

auto ConvInputGradient::backward(const Tensor& g, const Tensor& dy, const Tensor& kernel) const {
  return std::tuple([=, this] { return apply(Conv{*this}, g, kernel); },
                    [=, this] { return apply(ConvWeightGradient{*this}, dy, g); });
}

// x: [N, C, L] or [C, L], [N, C, H, W] or [C, H, W] → [N, C, H, W], and the result back to that form.
Tensor as_images(const Tensor& x, int dims) {
  const Tensor batch = x.dim() == dims + 1 ? unsqueeze(x, 0) : x;
  return dims == 1 ? unsqueeze(batch, 2) : batch;
}
Tensor shaped_as(const Tensor& x, int dims, const Tensor& y) {
  const Tensor batch = dims == 1 ? squeeze(y, 2) : y;
  return x.dim() == dims + 1 ? squeeze(batch, 0) : batch;
}

std::string text(Size2d size) { return to_string(Shape{size.height, size.width}); }

constexpr int64_t most = 1 << 30;  // keeps the sums and products below from overflowing

void require_from(int64_t least, const char* name, Size2d value, int dims) {
  if (dims == 1 && value.height != value.width)
    fail(std::string(name) + " is " + text(value) + "; one dimension takes one number");
  if (std::min(value.height, value.width) < least || std::max(value.height, value.width) > most)
    fail(std::string(name) + " is " + text(value) + "; it must be at least " + std::to_string(least) +
         " and at most 2^30");
}

// What both directions ask of their tensors. `channels`: the dimension of weight that goes with the channels of x.
void check(int dims, const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups, bool transposed) {
  const auto shapes = [&] { return "x is " + to_string(x.shape()) + " and weight is " + to_string(weight.shape()); };
  for (const Tensor* each : {&x, &weight})
    if (!is_floating_point(each->dtype()))
      fail("convolutions are for floating-point tensors, not " + to_string(each->dtype()) +
           "; convert it first: to(x, float32)");
  const int channel_dim = x.dim() - dims - 1;  // 0 without a batch
  if ((channel_dim != 0 && channel_dim != 1) || weight.dim() != dims + 2)
    fail(shapes() + "; they must be " + (dims == 1 ? "[N, C, L] or [C, L]" : "[N, C, H, W] or [C, H, W]") + " and [" +
         (transposed ? "C, K / groups, " : "K, C / groups, ") +
         (dims == 1 ? "kernel]" : "kernel height, kernel width]"));
  if (groups < 1) fail("groups is " + std::to_string(groups) + "; it must be at least 1");
  const int64_t channels = x.shape()[channel_dim];
  if (transposed ? weight.shape()[0] != channels || channels % groups != 0 : weight.shape()[1] * groups != channels)
    fail(shapes() + "; with groups = " + std::to_string(groups) + ", dimension " + std::to_string(channel_dim) +
         " of x (" + std::to_string(channels) +
         (transposed ? ") must equal dimension 0 of weight (" + std::to_string(weight.shape()[0]) +
                           "), and be a multiple of groups"
                     : ") must be groups times dimension 1 of weight (" + std::to_string(weight.shape()[1]) + ")"));
  if (!transposed && weight.shape()[0] % groups != 0)
    fail(shapes() + "; dimension 0 of weight must be a multiple of groups = " + std::to_string(groups));
  const int64_t outputs = transposed ? weight.shape()[1] * groups : weight.shape()[0];
  if (bias.defined() && bias.shape() != Shape{outputs})
    fail("weight is " + to_string(weight.shape()) + " and bias is " + to_string(bias.shape()) + "; bias must be [" +
         std::to_string(outputs) + "]");
}

// How many steps of the kernel fit along one dimension; writes the padding before the first element.
int64_t output_size(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, bool same, int64_t& padding) {
  const int64_t reach = dilation * (kernel - 1) + 1;
  const int64_t total = same ? reach - 1 : 2 * padding;
  if (same) padding = total / 2;
  return kernel < 1 || size + total < reach ? 0 : (size + total - reach) / stride + 1;
}

void require_sizes(const ConvGeometry& g) {
  const double rows = double(g.y[2]) * double(g.stride.height) + double(g.weight[2]) * double(g.dilation.height);
  const double columns = double(g.y[3]) * double(g.stride.width) + double(g.weight[3]) * double(g.dilation.width);
  if (double(g.x[1]) * rows * columns > 1e12) fail("the padded x would have more than 10^12 elements an image");
}

Tensor convolve(int dims, const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  const auto& [stride, padding, dilation, groups, with_relu] = options;
  check(dims, x, weight, bias, groups, false);
  require_from(1, "stride", stride, dims);
  require_from(0, "padding", padding.size, dims);
  require_from(1, "dilation", dilation, dims);
  if (padding.is_same && stride != Size2d(1)) fail("padding = same needs a stride of 1, not " + text(stride));
  const Dtype dtype = promote(x.dtype(), weight.dtype());
  const Tensor input = to(as_images(x, dims), dtype), kernel = to(as_images(weight, dims), dtype);
  ConvGeometry g{input.shape(), kernel.shape(), {}, stride, padding.size, dilation, groups};
  if (dims == 1) g.padding.height = 0;
  g.y = {g.x[0], g.weight[0],
         output_size(g.x[2], g.weight[2], stride.height, dilation.height, padding.is_same, g.padding.height),
         output_size(g.x[3], g.weight[3], stride.width, dilation.width, padding.is_same, g.padding.width)};
  if (g.y[2] < 1 || g.y[3] < 1)
    fail("x is " + to_string(x.shape()) + " and weight is " + to_string(weight.shape()) +
         "; the kernel must have an element, and fit into x with its padding");
  require_sizes(g);
  Tensor y;
  if (!bias.defined()) y = with_relu ? relu(apply(Conv{g}, input, kernel)) : apply(Conv{g}, input, kernel);
  else y = apply(ConvWithBias{g, with_relu}, input, kernel, to(bias, dtype));
  return shaped_as(x, dims, y);
}

Tensor convolve_transposed(int dims, const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const ConvTransposeOptions& options) {
  const auto& [stride, padding, output_padding, groups, dilation] = options;
  check(dims, x, weight, bias, groups, true);
  require_from(1, "stride", stride, dims);
  require_from(0, "padding", padding, dims);
  require_from(0, "output_padding", output_padding, dims);
  require_from(1, "dilation", dilation, dims);
  if (output_padding.height >= std::max(stride.height, dilation.height) ||
      output_padding.width >= std::max(stride.width, dilation.width))
    fail("output_padding is " + text(output_padding) + "; it must be less than the stride " + text(stride) +
         " or the dilation " + text(dilation));
  const Dtype dtype = promote(x.dtype(), weight.dtype());
  const Tensor input = to(as_images(x, dims), dtype), kernel = to(as_images(weight, dims), dtype);
  const auto size = [](int64_t n, int64_t reach, int64_t step, int64_t around, int64_t more) {
    return (n - 1) * step - 2 * around + reach + more;
  };
  ConvGeometry g{{}, kernel.shape(), input.shape(), stride, padding, dilation, groups};
  g.x = {g.y[0], g.weight[1] * groups,
         dims == 1 ? 1
                   : size(g.y[2], dilation.height * (g.weight[2] - 1) + 1, stride.height, padding.height,
                          output_padding.height),
         size(g.y[3], dilation.width * (g.weight[3] - 1) + 1, stride.width, padding.width, output_padding.width)};
  if (dims == 1) g.padding.height = 0;
  if (g.x[2] < 1 || g.x[3] < 1 || std::min({g.weight[2], g.weight[3], g.y[2], g.y[3]}) < 1)
    fail("x is " + to_string(x.shape()) + " and weight is " + to_string(weight.shape()) +
         "; the result would have no elements");
  require_sizes(g);
  Tensor y = apply(ConvInputGradient{g}, input, kernel);
  if (bias.defined()) y = y + reshape(bias, {-1, 1, 1});
  return shaped_as(x, dims, y);
}

}  // namespace

Tensor conv2d(const Arg& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  const Scope scope("conv2d", x.where());
  return convolve(2, *x, weight, bias, options);
}
Tensor conv1d(const Arg& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  const Scope scope("conv1d", x.where());
  return convolve(1, *x, weight, bias, options);
}
Tensor conv_transpose2d(const Arg& x, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options) {
  const Scope scope("conv_transpose2d", x.where());
  return convolve_transposed(2, *x, weight, bias, options);
}
Tensor conv_transpose1d(const Arg& x, const Tensor& weight, const Tensor& bias, const ConvTransposeOptions& options) {
  const Scope scope("conv_transpose1d", x.where());
  return convolve_transposed(1, *x, weight, bias, options);
}

}  // namespace gradus
