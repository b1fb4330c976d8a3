// ONNX's operators that move windows over sequences and images.

#include <algorithm>
#include <cmath>

#include "ops/arithmetic.h"
#include "ops/conv.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/pool.h"
#include "ops/upsample.h"
#include "ops/view.h"
#include "tests/onnx_operators.h"

namespace gradus::onnx {
namespace {

using Sizes = std::vector<int64_t>;  // one for each spatial dimension

Size2d size2d(const Sizes& sizes) { return sizes.size() == 1 ? Size2d(sizes[0]) : Size2d(sizes[0], sizes[1]); }

// The settings of a window.
struct Window {
  Sizes kernel, stride, dilation, before, after;  // the padding before and after the image

  Window(const Node& node, const Sizes& kernel_size) : kernel(kernel_size) {
    const size_t dims = kernel.size();
    const Sizes pads = node.integers("pads", Sizes(2 * dims, 0));
    const std::string automatic = node.text("auto_pad", "NOTSET");
    stride = node.integers("strides", Sizes(dims, 1));
    dilation = node.integers("dilations", Sizes(dims, 1));
    before.assign(pads.begin(), pads.begin() + int64_t(dims));
    after.assign(pads.begin() + int64_t(dims), pads.end());
    for (size_t i = 0; i < dims && automatic.starts_with("SAME"); ++i) {  // one output for every stride
      const int64_t size = node[0].size(int64_t(i) + 2), outputs = (size + stride[i] - 1) / stride[i];
      split_padding(i, std::max<int64_t>(0, (outputs - 1) * stride[i] + reach(i) - size), automatic == "SAME_LOWER");
    }
  }

  int64_t reach(size_t i) const { return dilation[i] * (kernel[i] - 1) + 1; }

  void split_padding(size_t i, int64_t total, bool more_before) {
    before[i] = more_before ? total - total / 2 : total / 2;
    after[i] = total - before[i];
  }

  // Whether operations here can pad by themselves: as much on both sides, and pooling by half a window at most.
  bool symmetric(bool pooling) const {
    for (size_t i = 0; i < kernel.size(); ++i)
      if (before[i] != after[i] || (pooling && 2 * before[i] > kernel[i])) return false;
    return true;
  }

  Tensor padded(const Tensor& x, double value) const {
    Sizes padding;
    for (size_t i = kernel.size(); i-- > 0;) padding.insert(padding.end(), {before[i], after[i]});
    return pad(x, padding, value);
  }
};

// The spatial dimensions.
Sizes spatial(const Tensor& x) { return Sizes(x.shape().begin() + 2, x.shape().end()); }

Results conv(const Node& node) {
  const Window window(node, node.integers("kernel_shape", spatial(node[1])));
  ConvOptions options{
      .stride = size2d(window.stride), .dilation = size2d(window.dilation), .groups = node.integer("group", 1)};
  const bool symmetric = window.symmetric(/*pooling=*/false);
  if (symmetric) options.padding = size2d(window.before);
  const Tensor x = symmetric ? node[0] : window.padded(node[0], 0);
  return (window.kernel.size() == 1 ? conv1d : conv2d)(x, node[1], node[2], options);
}

// Without padding first, which is then cut off; an output that is to be larger than that is padded itself.
Results conv_transpose(const Node& node) {
  Window window(node, node.integers("kernel_shape", spatial(node[1])));
  const Sizes none(window.kernel.size(), 0), shape = node.integers("output_shape");
  Sizes output_padding = node.integers("output_padding", none);
  const std::string automatic = node.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < none.size() && (automatic != "NOTSET" || !shape.empty()); ++i) {
    const int64_t size = node[0].size(int64_t(i) + 2);
    const int64_t wanted = shape.empty() ? size * window.stride[i] : shape[i];
    const int64_t total = window.stride[i] * (size - 1) + output_padding[i] + window.reach(i) - wanted;
    output_padding[i] += std::max<int64_t>(0, -total);
    window.split_padding(i, std::max<int64_t>(0, total), automatic != "SAME_UPPER");
  }
  ConvTransposeOptions options{.stride = size2d(window.stride),
                               .output_padding = size2d(output_padding),
                               .groups = node.integer("group", 1),
                               .dilation = size2d(window.dilation)};
  const bool symmetric = window.symmetric(/*pooling=*/false);
  if (symmetric) options.padding = size2d(window.before);
  Tensor y = (none.size() == 1 ? conv_transpose1d : conv_transpose2d)(node[0], node[1], node[2], options);
  for (size_t i = 0; i < none.size() && !symmetric; ++i) {
    const int64_t dim = int64_t(i) + 2;
    y = narrow(y, dim, window.before[i], y.size(dim) - window.before[i] - window.after[i]);
  }
  return y;
}

Results max_pool(const Node& node) {
  const Window window(node, node.integers("kernel_shape"));
  MaxPoolOptions options{.stride = size2d(window.stride),
                         .dilation = size2d(window.dilation),
                         .ceil_mode = node.integer("ceil_mode", 0) != 0};
  const bool symmetric = window.symmetric(/*pooling=*/true);
  if (symmetric) options.padding = size2d(window.before);
  const Tensor x = symmetric ? node[0] : window.padded(node[0], -INFINITY);
  if (window.kernel.size() == 1) return max_pool1d(x, window.kernel[0], options);
  return max_pool2d(x, size2d(window.kernel), options);
}

// If it does not count, padding on one side only is divided out: the average of ones is the share of the image.
Results average_pool(const Node& node) {
  const Window window(node, node.integers("kernel_shape"));
  AvgPoolOptions options{.stride = size2d(window.stride),
                         .ceil_mode = node.integer("ceil_mode", 0) != 0,
                         .count_include_pad = node.integer("count_include_pad", 0) != 0};
  const auto pool = [&](const Tensor& x) {
    if (window.kernel.size() == 1) return avg_pool1d(x, window.kernel[0], options);
    return avg_pool2d(x, size2d(window.kernel), options);
  };
  if (window.symmetric(/*pooling=*/true)) {
    options.padding = size2d(window.before);
    return pool(node[0]);
  }
  const Tensor average = pool(window.padded(node[0], 0));
  if (options.count_include_pad) return average;
  return average / pool(window.padded(ones_like(node[0]), 0));
}

// One scale for height and width is given as such, so that what it leaves over is not stretched.
Results resize(const Node& node) {
  const Tensor scales = node[node.operation() == "Upsample" ? 1 : 2], sizes = node[3], region = node[1];
  const std::string coordinates = node.text("coordinate_transformation_mode", "half_pixel");
  node.text("nearest_mode", "round_prefer_floor");
  InterpolateOptions options;
  options.mode = node.text("mode", "nearest") == "nearest" ? Interpolation::nearest : Interpolation::bilinear;
  options.align_corners = options.mode == Interpolation::bilinear && coordinates == "align_corners";
  if (sizes.defined()) {
    options.size = {sizes.at<int64_t>(2), sizes.at<int64_t>(3)};
  } else if (scales.at(2) == scales.at(3)) {
    options.scale_factor = scales.at(2);
  } else {
    const auto scaled = [&](int64_t dim) { return int64_t(std::floor(double(node[0].size(dim)) * scales.at(dim))); };
    options.size = {scaled(2), scaled(3)};
  }
  return interpolate(node[0], options);
}

}  // namespace

Operators window_operators() {
  return {
      {"AveragePool", {10, average_pool}},
      {"Conv", {25, conv}},
      {"ConvTranspose", {12, conv_transpose}},
      {"GlobalAveragePool", {2, [](const Node& node) { return adaptive_avg_pool2d(node[0], 1); }}},
      {"GlobalMaxPool", {2, [](const Node& node) { return adaptive_max_pool2d(node[0], 1); }}},
      {"MaxPool", {14, max_pool}},
      {"Resize", {12, resize}},
      {"Upsample", {1, resize}},
  };
}

}  // namespace gradus::onnx
