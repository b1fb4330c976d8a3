#pragma once
// Tensors as kernels see them: an address, and where each element lies.

#include "core/tensor.h"

namespace gradus::cuda {

/// Where element i, counted row by row, lies in memory. Dimensions that lie behind each other are merged first.
struct Layout {
  int dims = 0;
  int64_t shape[Shape::max_dims], strides[Shape::max_dims];

  explicit Layout(const Tensor& x) : Layout(x.shape(), x.strides()) {}
  Layout(const Shape& sizes, const Strides& steps) {
    for (int i = 0; i < sizes.dim(); ++i) {
      if (sizes[i] == 1) continue;
      if (dims > 0 && strides[dims - 1] == steps[i] * sizes[i]) {
        shape[dims - 1] *= sizes[i];
        strides[dims - 1] = steps[i];
      } else {
        shape[dims] = sizes[i];
        strides[dims++] = steps[i];
      }
    }
  }

  __device__ int64_t operator()(int64_t i) const {
    int64_t position = 0;
    for (int d = dims - 1; d > 0; --d) {
      position += i % shape[d] * strides[d];
      i /= shape[d];
    }
    return dims == 0 ? 0 : position + i * strides[0];
  }
};

/// Elements of any dtype, read as T.
struct Source {
  const void* data;
  Dtype dtype;
  Layout layout;

  explicit Source(const Tensor& x)
      : data(static_cast<const std::byte*>(x.storage()->data()) + x.offset() * int64_t(item_size(x.dtype()))),
        dtype(x.dtype()),
        layout(x) {}

  template <class T> __device__ T load(int64_t i) const {
    const int64_t at = layout(i);
    switch (dtype) {
      case Dtype::float32: return convert<T>(static_cast<const float*>(data)[at]);
      case Dtype::float64: return convert<T>(static_cast<const double*>(data)[at]);
      case Dtype::bfloat16: return convert<T>(static_cast<const BFloat16*>(data)[at]);
      case Dtype::int64: return convert<T>(static_cast<const int64_t*>(data)[at]);
      default: return convert<T>(static_cast<const bool*>(data)[at]);
    }
  }
};

/// Elements of any dtype, written as T.
struct Target {
  void* data;
  Dtype dtype;
  Layout layout;

  explicit Target(const Tensor& y)
      : data(static_cast<std::byte*>(y.storage()->data()) + y.offset() * int64_t(item_size(y.dtype()))),
        dtype(y.dtype()),
        layout(y) {}

  template <class T> __device__ void store(int64_t i, T value) const {
    const int64_t at = layout(i);
    switch (dtype) {
      case Dtype::float32: static_cast<float*>(data)[at] = convert<float>(value); break;
      case Dtype::float64: static_cast<double*>(data)[at] = convert<double>(value); break;
      case Dtype::bfloat16: static_cast<BFloat16*>(data)[at] = convert<BFloat16>(value); break;
      case Dtype::int64: static_cast<int64_t*>(data)[at] = convert<int64_t>(value); break;
      default: static_cast<bool*>(data)[at] = convert<bool>(value);
    }
  }
};

}  // namespace gradus::cuda
