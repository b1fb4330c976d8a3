// Samples of the operations on images: convolution, pooling, interpolation. Their definitions are sums and maxima of
// slices.

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/conv.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/upsample.h"
#include "ops/view.h"
#include "tests/op_samples.h"

namespace gradus::samples {
namespace {

using X = Inputs;

// x at the places that the kernel's element (a, b) meets.
Tensor met(const Tensor& padded, int64_t a, int64_t b, Size2d kernel, Size2d stride, Size2d dilation) {
  const auto along = [](const Tensor& x, int64_t dim, int64_t i, int64_t size, int64_t step, int64_t apart) {
    return slice(x, dim, i * apart, x.size(dim) - (size - 1 - i) * apart, step);
  };
  return along(along(padded, -2, a, kernel.height, stride.height, dilation.height), -1, b, kernel.width, stride.width,
               dilation.width);
}

std::vector<Tensor> windows(const Tensor& padded, Size2d kernel, Size2d stride, Size2d dilation = 1) {
  std::vector<Tensor> all;
  for (int64_t a = 0; a < kernel.height; ++a)
    for (int64_t b = 0; b < kernel.width; ++b) all.push_back(met(padded, a, b, kernel, stride, dilation));
  return all;
}

// `padding` as pad() takes it.
Tensor convolution(const Tensor& x, const Tensor& weight, Size2d stride = 1, const std::vector<int64_t>& padding = {},
                   Size2d dilation = 1, int64_t groups = 1) {
  const std::vector<Tensor> images = chunk(pad(x, padding), groups, 1), weights = chunk(weight, groups);
  std::vector<Tensor> results;
  for (size_t g = 0; g < images.size(); ++g) {
    const std::vector<Tensor> inputs = windows(images[g], {weight.size(2), weight.size(3)}, stride, dilation);
    Tensor y;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor factors = select(flatten(weights[g], 2), 2, int64_t(i));
      const Tensor term = sum(reshape(factors, {factors.size(0), -1, 1, 1}) * unsqueeze(inputs[i], 1), 2);
      y = y.defined() ? y + term : term;
    }
    results.push_back(y);
  }
  return cat(results, 1);
}

// The convolution of an image spread out with zeros, with the kernel turned round.
Tensor transposed(const Tensor& x, const Tensor& weight, int64_t stride, int64_t padding, int64_t more,
                  int64_t groups) {
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const Tensor spread = reshape(pad(reshape(x, {n, c, h, 1, w, 1}), {0, stride - 1, 0, 0, 0, stride - 1}),
                                {n, c, h * stride, w * stride});
  const Tensor image = narrow(narrow(spread, 2, 0, (h - 1) * stride + 1), 3, 0, (w - 1) * stride + 1);
  std::vector<Tensor> kernels;
  for (const Tensor& part : chunk(flip(weight, {2, 3}), groups)) kernels.push_back(transpose(part, 0, 1));
  const int64_t above = weight.size(2) - 1 - padding, left = weight.size(3) - 1 - padding;
  return convolution(image, cat(kernels), 1, {left, left + more, above, above + more}, 1, groups);
}

Tensor channels(const Tensor& bias) { return reshape(bias, {-1, 1, 1}); }

std::vector<Sample> convolutions() {
  return {
      {"conv2d(x, weight)",
       {{2, 3, 5, 4}, {4, 3, 3, 2}},
       [](X x) { return conv2d(x[0], x[1]); },
       [](X x) { return convolution(x[0], x[1]); }},
      {"conv2d(x, weight, bias, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2})",
       {{2, 4, 6, 5}, {6, 2, 3, 2}, {6}},
       [](X x) {
         return conv2d(x[0], x[1], x[2], {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
       },
       [](X x) {
         return convolution(x[0], x[1], {2, 1}, {2, 2, 1, 1}, {1, 2}, 2) + channels(x[2]);
       }},
      {"conv2d(x, weight, bias) with a kernel of 1",
       {{2, 3, 3, 4}, {2, 3, 1, 1}, {2}},
       [](X x) { return conv2d(x[0], x[1], x[2]); },
       [](X x) { return convolution(x[0], x[1]) + channels(x[2]); }},
      {"conv2d(x, weight, bias, {.padding = 1, .relu = true})",
       {{2, 3, 5, 4}, {4, 3, 3, 3}, {4}},
       [](X x) { return conv2d(x[0], x[1], x[2], {.padding = 1, .relu = true}); },
       [](X x) {
         return relu(convolution(x[0], x[1], 1, {1, 1, 1, 1}) + channels(x[2]));
       }},
      {"conv2d with ReLU, without bias",
       {{2, 3, 5, 4}, {4, 3, 3, 3}},
       [](X x) { return conv2d(x[0], x[1], {}, {.relu = true}); },
       [](X x) { return relu(convolution(x[0], x[1])); }},
      {"conv1d(x, weight, bias, {.padding = Padding::same})",
       {{2, 2, 7}, {3, 2, 4}, {3}},
       [](X x) { return conv1d(x[0], x[1], x[2], {.padding = Padding::same}); },
       [](X x) {
         return squeeze(convolution(unsqueeze(x[0], 2), unsqueeze(x[1], 2), 1, {1, 2}) + channels(x[2]), 2);
       }},
      {"conv_transpose2d(x, weight, bias, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2})",
       {{2, 4, 3, 2}, {4, 3, 3, 2}, {6}},
       [](X x) {
         return conv_transpose2d(x[0], x[1], x[2], {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
       },
       [](X x) { return transposed(x[0], x[1], 2, 1, 1, 2) + channels(x[2]); }},
      {"conv_transpose1d(x, weight)",
       {{1, 2, 4}, {2, 3, 3}},
       [](X x) { return conv_transpose1d(x[0], x[1]); },
       [](X x) { return squeeze(transposed(unsqueeze(x[0], 2), unsqueeze(x[1], 2), 1, 0, 0, 1), 2); }},
  };
}

std::vector<Sample> pooling() {
  return {
      {"max_pool2d(x, 2)",
       {{2, 2, 4, 5}},
       [](X x) { return max_pool2d(x[0], 2); },
       [](X x) { return amax(stack(windows(narrow(x[0], 3, 0, 4), 2, 2)), 0); }},
      {"max_pool2d(x, {3, 2}, {.stride = 2, .padding = 1, .dilation = {1, 2}})",
       {{1, 2, 5, 6}},
       [](X x) {
         return max_pool2d(x[0], {3, 2}, {.stride = 2, .padding = 1, .dilation = {1, 2}});
       },
       [](X x) {
         return amax(stack(windows(pad(x[0], {1, 1, 1, 1}, -9), {3, 2}, 2, {1, 2})), 0);
       }},
      {"max_pool1d(x, 3, {.stride = 2, .ceil_mode = true})",
       {{2, 3, 6}},
       [](X x) { return max_pool1d(x[0], 3, {.stride = 2, .ceil_mode = true}); },
       [](X x) {
         return amax(stack(windows(pad(x[0], {0, 1}, -9), {1, 3}, {1, 2})), 0);
       }},
      {"adaptive_max_pool2d(x, {1, 2})",
       {{2, 2, 3, 3}},
       [](X x) {
         return adaptive_max_pool2d(x[0], {1, 2});
       },
       [](X x) {
         return max_pool2d(x[0], {3, 2}, {.stride = 1});
       }},
      {"adaptive_max_pool1d(x, 2)",
       {{2, 3, 4}},
       [](X x) { return adaptive_max_pool1d(x[0], 2); },
       [](X x) { return max_pool1d(x[0], 2); }},
      {"avg_pool2d(x, 3, {.stride = {2, 1}, .padding = 1})",
       {{2, 2, 5, 4}},
       [](X x) {
         return avg_pool2d(x[0], 3, {.stride = {2, 1}, .padding = 1});
       },
       [](X x) {
         return mean(stack(windows(pad(x[0], {1, 1, 1, 1}), 3, {2, 1})), 0);
       }},
      {"avg_pool1d(x, 2)",
       {{2, 3, 5}},
       [](X x) { return avg_pool1d(x[0], 2); },
       [](X x) {
         return mean(reshape(narrow(x[0], 2, 0, 4), {2, 3, 2, 2}), 3);
       }},
      {"adaptive_avg_pool2d(x, 1)",
       {{2, 3, 4, 3}},
       [](X x) { return adaptive_avg_pool2d(x[0], 1); },
       [](X x) {
         return mean(x[0], {2, 3}, true);
       }},
      {"adaptive_avg_pool1d(x, 3)",
       {{2, 5}},
       [](X x) { return adaptive_avg_pool1d(x[0], 3); },
       [](X x) {
         const auto part = [&](int64_t from, int64_t count) { return mean(narrow(x[0], 1, from, count), 1, true); };
         return cat({part(0, 2), part(1, 3), part(3, 2)}, 1);
       }},
      {"interpolate(x, {.scale_factor = 2})",
       {{1, 2, 2, 3}},
       [](X x) { return interpolate(x[0], {.scale_factor = 2}); },
       [](X x) {
         return reshape(expand(reshape(x[0], {2, 2, 1, 3, 1}), {2, 2, 2, 3, 2}), {1, 2, 4, 6});
       }},
      {"interpolate(x, {.size = 3, .mode = Interpolation::bilinear, .align_corners = true})",
       {{2, 1, 2, 2}},
       [](X x) { return interpolate(x[0], {.size = 3, .mode = Interpolation::bilinear, .align_corners = true}); },
       [](X x) {
         const Tensor r = to(tensor({{1, 0}, {0.5, 0.5}, {0, 1}}), x[0].dtype());
         return matmul(r, matmul(x[0], t(r)));
       }},
      {"interpolate(x, {.size = {4, 1}, .mode = Interpolation::bilinear})",
       {{2, 1, 2, 3}},
       [](X x) {
         return interpolate(x[0], {.size = {4, 1}, .mode = Interpolation::bilinear});
       },
       [](X x) {
         const Tensor r = to(tensor({{1, 0}, {0.75, 0.25}, {0.25, 0.75}, {0, 1}}), x[0].dtype());
         return matmul(r, narrow(x[0], 3, 1, 1));
       }},
  };
}

}  // namespace

std::vector<Sample> image_samples() {
  std::vector<Sample> all = convolutions();
  for (const Sample& sample : pooling()) all.push_back(sample);
  return all;
}

}  // namespace gradus::samples
