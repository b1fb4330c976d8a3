#pragma once
// Pooling layers: `nn::MaxPool2d{2}`, `nn::MaxPool2d{.kernel_size = 3, .stride = 2, .padding = 1}`.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/pool.h"

namespace gradus::nn {

struct MaxPool2d {
  Size2d kernel_size;
  Size2d stride = 0;  ///< 0: the kernel_size
  Size2d padding = 0, dilation = 1;
  bool ceil_mode = false;
  Tensor operator()(const Arg& x) const { return max_pool2d(x, kernel_size, {stride, padding, dilation, ceil_mode}); }
  GRADUS_FIELDS(kernel_size, stride, padding, dilation, ceil_mode)
};

struct MaxPool1d {
  int64_t kernel_size;
  int64_t stride = 0;
  int64_t padding = 0, dilation = 1;
  bool ceil_mode = false;
  Tensor operator()(const Arg& x) const { return max_pool1d(x, kernel_size, {stride, padding, dilation, ceil_mode}); }
  GRADUS_FIELDS(kernel_size, stride, padding, dilation, ceil_mode)
};

struct AvgPool2d {
  Size2d kernel_size;
  Size2d stride = 0;
  Size2d padding = 0;
  bool ceil_mode = false, count_include_pad = true;
  Tensor operator()(const Arg& x) const {
    return avg_pool2d(x, kernel_size, {stride, padding, ceil_mode, count_include_pad});
  }
  GRADUS_FIELDS(kernel_size, stride, padding, ceil_mode, count_include_pad)
};

struct AvgPool1d {
  int64_t kernel_size;
  int64_t stride = 0;
  int64_t padding = 0;
  bool ceil_mode = false, count_include_pad = true;
  Tensor operator()(const Arg& x) const {
    return avg_pool1d(x, kernel_size, {stride, padding, ceil_mode, count_include_pad});
  }
  GRADUS_FIELDS(kernel_size, stride, padding, ceil_mode, count_include_pad)
};

struct AdaptiveAvgPool2d {
  Size2d output_size;
  Tensor operator()(const Arg& x) const { return adaptive_avg_pool2d(x, output_size); }
  GRADUS_FIELDS(output_size)
};

struct AdaptiveAvgPool1d {
  int64_t output_size;
  Tensor operator()(const Arg& x) const { return adaptive_avg_pool1d(x, output_size); }
  GRADUS_FIELDS(output_size)
};

struct AdaptiveMaxPool2d {
  Size2d output_size;
  Tensor operator()(const Arg& x) const { return adaptive_max_pool2d(x, output_size); }
  GRADUS_FIELDS(output_size)
};

struct AdaptiveMaxPool1d {
  int64_t output_size;
  Tensor operator()(const Arg& x) const { return adaptive_max_pool1d(x, output_size); }
  GRADUS_FIELDS(output_size)
};

}  // namespace gradus::nn
