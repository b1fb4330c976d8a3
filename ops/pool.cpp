#include "ops/pool.h"

#include <algorithm>
#include <cstdint>

#include "ops/apply.h"
#include "ops/create.h"
#include "ops/kernels.h"
#include "ops/resample.h"

namespace gradus {
namespace {

using kernel::Taps;

// x as one row for each of the images that `index` has a row for.
Tensor as_rows(const Tensor& x, const Shape& rows) {
  const Shape shape{rows[0], x.numel() / std::max<int64_t>(1, rows[0])};
  return x.alias(shape, contiguous_strides(shape), x.offset());
}

/// The elements of each image at the places that max_pool has found: its gradient's gradient.
struct TakePooled {
  static constexpr Info info{"take_pooled", "take_pooled($0)"};
  Shape from, to;  // of x and y
  Tensor index;    // [images, places]

  Tensor forward(const Tensor& x) const {
    const Tensor y = Tensor::empty(to, x.dtype(), x.device());
    kernels(y).select_elements(as_rows(compact(x), index.shape()), 1, index, as_rows(y, index.shape()));
    return y;
  }
  Tensor backward(const Tensor& dy) const;
};

/// Its adjoint, the gradient of max_pool: each element added at its place in zeros.
struct PutPooled : TakePooled {
  static constexpr Info info{"put_pooled", "put_pooled($0)"};

  Tensor forward(const Tensor& dy) const {
    const Dtype dtype = dy.dtype() == bfloat16 ? float32 : dy.dtype();
    const Tensor dx = zeros(from, dtype, dy.device());
    kernels(dy).add_elements(as_rows(compact(dy, dtype), index.shape()), 1, index, as_rows(dx, index.shape()));
    return compact(dx, dy.dtype());
  }
  Tensor backward(const Tensor& g) const { return apply(TakePooled{*this}, g); }
};

Tensor TakePooled::backward(const Tensor& dy) const { return apply(PutPooled{*this}, dy); }

struct MaxPool {
  static constexpr Info info{"max_pool"};
  const char* name;
  Taps rows, columns;
  TakePooled taken;  // its index is what the kernel leaves for the backward

  Tensor forward(const Tensor& x) const {
    const Tensor y = Tensor::empty(taken.to, x.dtype(), x.device());
    kernels(x).max_pool(rows, columns, x, y, taken.index);
    return y;
  }
  Tensor backward(const Tensor& dy) const {
    if (!taken.index.defined()) detail::fail_released();
    return apply(PutPooled{taken}, dy);
  }
  void release() { taken.index = {}; }
  std::string formula(std::span<const std::string> names) const { return name + ("(" + names[0] + ")"); }
};

struct Window {
  int64_t kernel, stride, padding, dilation;
  bool ceil_mode = false, average = false, count_include_pad = false;
};

// The inputs under the window at each of its places, along a dimension of the given size.
Taps taps(int64_t size, const Window& w) {
  const auto require_from = [](int64_t least, const char* name, int64_t value) {
    if (value < least || value > 1 << 30)
      fail(std::string(name) + " is " + std::to_string(value) + "; it must be at least " + std::to_string(least) +
           " and at most 2^30");
  };
  require_from(1, "kernel_size", w.kernel);
  require_from(1, "stride", w.stride);
  require_from(0, "padding", w.padding);
  require_from(1, "dilation", w.dilation);
  const int64_t reach = w.dilation * (w.kernel - 1) + 1;
  if (w.padding > reach / 2)
    fail("padding is " + std::to_string(w.padding) + "; it must be at most half the size of the window (" +
         std::to_string(reach) + ")");
  const int64_t room = size + 2 * w.padding - reach;
  if (room < 0)
    fail("the window (" + std::to_string(reach) + ") is larger than a dimension of x with its padding (" +
         std::to_string(size + 2 * w.padding) + ")");
  int64_t outputs = (room + (w.ceil_mode ? w.stride - 1 : 0)) / w.stride + 1;
  if ((outputs - 1) * w.stride >= size + w.padding) --outputs;
  Taps result{size};
  for (int64_t i = 0; i < outputs; ++i) {
    const int64_t begin = i * w.stride - w.padding;
    const int64_t first = begin < 0 ? (-begin + w.dilation - 1) / w.dilation : 0;
    const int64_t count = std::min(w.kernel, (size - 1 - begin) / w.dilation + 1) - first;
    if (count < 1) fail("a window holds nothing but padding");
    const int64_t counted = w.count_include_pad ? std::min(begin + w.kernel, size + w.padding) - begin : count;
    result.add_output(begin + first * w.dilation, w.dilation, count, w.average ? 1 / double(counted) : 1);
  }
  return result;
}

Taps adaptive_taps(int64_t size, int64_t outputs) {
  if (outputs < 1) fail("output_size is " + std::to_string(outputs) + "; it must be at least 1");
  Taps result{size};
  for (int64_t i = 0; i < outputs; ++i) {
    const int64_t begin = i * size / outputs, end = ((i + 1) * size + outputs - 1) / outputs;
    result.add_output(begin, 1, end - begin, 1 / double(end - begin));
  }
  return result;
}

// Like resample(), but with the largest element of each window.
Tensor take_largest(const char* name, const Tensor& x, int dims, Taps rows, Taps columns) {
  if (rows.inputs * columns.inputs > INT32_MAX) fail("x is " + to_string(x.shape()) + "; its images are too large");
  Shape to = x.shape();
  to[x.dim() - 1] = columns.outputs();
  if (dims == 2) to[x.dim() - 2] = rows.outputs();
  const int64_t places = rows.outputs() * columns.outputs();
  const TakePooled taken{x.shape(), to, Tensor::empty({to.numel() / places, places}, int64, x.device())};
  return apply(MaxPool{name, std::move(rows), std::move(columns), taken}, x);
}

// `pool` with the places that taps_of makes of the size of a dimension of x and of its window.
template <class TapsOf>
Tensor pooled(const char* name, decltype(resample) pool, const Arg& x, int dims, TapsOf&& taps_of) {
  const Scope scope(name, x.where());
  require_images(*x, dims);
  Taps columns = taps_of(x->size(-1), &Size2d::width);
  return pool(name, *x, dims, dims == 1 ? one_to_one() : taps_of(x->size(-2), &Size2d::height), std::move(columns));
}

Tensor max_pool(const char* name, const Arg& x, int dims, Size2d kernel, const MaxPoolOptions& options) {
  return pooled(name, take_largest, x, dims, [&](int64_t size, int64_t Size2d::*of) {
    const auto& [given, padding, dilation, ceil_mode] = options;
    const Size2d stride = given == Size2d(0) ? kernel : given;
    return taps(size, {kernel.*of, stride.*of, padding.*of, dilation.*of, ceil_mode});
  });
}

Tensor avg_pool(const char* name, const Arg& x, int dims, Size2d kernel, const AvgPoolOptions& options) {
  return pooled(name, resample, x, dims, [&](int64_t size, int64_t Size2d::*of) {
    const auto& [given, padding, ceil_mode, count_include_pad] = options;
    const Size2d stride = given == Size2d(0) ? kernel : given;
    return taps(size, {kernel.*of, stride.*of, padding.*of, 1, ceil_mode, true, count_include_pad});
  });
}

Tensor adaptive_pool(const char* name, decltype(resample) pool, const Arg& x, int dims, Size2d outputs) {
  return pooled(name, pool, x, dims,
                [&](int64_t size, int64_t Size2d::*of) { return adaptive_taps(size, outputs.*of); });
}

}  // namespace

Tensor max_pool2d(const Arg& x, Size2d kernel_size, const MaxPoolOptions& options) {
  return max_pool("max_pool2d", x, 2, kernel_size, options);
}
Tensor max_pool1d(const Arg& x, int64_t kernel_size, const MaxPoolOptions& options) {
  return max_pool("max_pool1d", x, 1, kernel_size, options);
}
Tensor avg_pool2d(const Arg& x, Size2d kernel_size, const AvgPoolOptions& options) {
  return avg_pool("avg_pool2d", x, 2, kernel_size, options);
}
Tensor avg_pool1d(const Arg& x, int64_t kernel_size, const AvgPoolOptions& options) {
  return avg_pool("avg_pool1d", x, 1, kernel_size, options);
}

Tensor adaptive_avg_pool2d(const Arg& x, Size2d output_size) {
  return adaptive_pool("adaptive_avg_pool2d", resample, x, 2, output_size);
}
Tensor adaptive_max_pool2d(const Arg& x, Size2d output_size) {
  return adaptive_pool("adaptive_max_pool2d", take_largest, x, 2, output_size);
}
Tensor adaptive_avg_pool1d(const Arg& x, int64_t output_size) {
  return adaptive_pool("adaptive_avg_pool1d", resample, x, 1, output_size);
}
Tensor adaptive_max_pool1d(const Arg& x, int64_t output_size) {
  return adaptive_pool("adaptive_max_pool1d", take_largest, x, 1, output_size);
}

}  // namespace gradus
