// Convolutions: by cuDNN; in float64, and where cuDNN has no engine, by plain kernels.

#include "cuda/cudnn_run.h"
#include "cuda/kernels.h"
#include "cuda/reduce.h"
#include "cuda/view.h"

namespace gradus::cuda {
namespace {

// What a pass reads and writes: x, the weight and y, or their gradients. A bias may be undefined.
struct ConvTensors {
  Tensor x, weight, y, bias = {};
  bool relu = false;
  Tensor& result(ConvPass pass) {
    return pass == ConvPass::forward ? y : pass == ConvPass::input_gradient ? x : weight;
  }
};

// False if cuDNN cannot do it. The tensors are contiguous and of one dtype.
bool run_cudnn(ConvPass pass, const ConvGeometry& geometry, const ConvTensors& t) {
  const auto address = [](const Tensor& x) { return x.defined() ? Target(x).data : nullptr; };
  const Operand operands[] = {{ConvTask::x, address(t.x)},
                              {ConvTask::weight, address(t.weight)},
                              {ConvTask::y, address(t.y)},
                              {ConvTask::bias, address(t.bias)}};
  const ConvTask task{pass, t.y.dtype(), t.bias.defined(), t.relu, geometry};
  return run_cudnn(task, t.y.device(), std::span(operands, task.has_bias ? 4 : 3));
}

// A contiguous tensor of four dimensions, the last two of which are rows and columns.
struct Images {
  int64_t count, channels, height, width;
  explicit Images(const Shape& shape) : count(shape[0]), channels(shape[1]), height(shape[2]), width(shape[3]) {}

  struct Place {
    int64_t image, channel, row, column;
  };
  __device__ Place place(int64_t i) const {
    return {i / (width * height * channels), i / (width * height) % channels, i / width % height, i % width};
  }
  __device__ int64_t index(int64_t image, int64_t channel, int64_t row, int64_t column) const {
    return ((image * channels + channel) * height + row) * width + column;
  }
};

struct Sizes {
  Images x, weight, y;
  Size2d stride, padding, dilation;
  int64_t outputs;  // of a group
  explicit Sizes(const ConvGeometry& g)
      : x(g.x),
        weight(g.weight),
        y(g.y),
        stride(g.stride),
        padding(g.padding),
        dilation(g.dilation),
        outputs(g.weight[0] / g.groups) {}
};

// One thread for each y[n, k, i, j]: 2·C·kernel FLOPs (C: channels of a group), and as many loads. Neighbouring threads
// read the same weight and neighbouring x.
template <class T> __global__ void convolve(int64_t count, Sizes s, const T* x, const T* weight, const T* bias, T* y) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const Images::Place at = s.y.place(i);
    const int64_t first_channel = at.channel / s.outputs * s.weight.channels;
    T sum = bias ? bias[at.channel] : T(0);
    for (int64_t c = 0; c < s.weight.channels; ++c)
      for (int64_t a = 0; a < s.weight.height; ++a)
        for (int64_t b = 0; b < s.weight.width; ++b) {
          const int64_t row = at.row * s.stride.height + a * s.dilation.height - s.padding.height;
          const int64_t column = at.column * s.stride.width + b * s.dilation.width - s.padding.width;
          if (row >= 0 && row < s.x.height && column >= 0 && column < s.x.width)
            sum += weight[s.weight.index(at.channel, c, a, b)] * x[s.x.index(at.image, first_channel + c, row, column)];
        }
    y[i] = sum;
  }
}

// One thread for each dx[n, c, h, w], which gathers from the outputs that x[n, c, h, w] went into: at most
// 2·K·kernel / stride FLOPs (K: outputs of a group).
template <class T>
__global__ void convolve_input_gradient(int64_t count, Sizes s, const T* dy, const T* weight, T* dx) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const Images::Place at = s.x.place(i);
    const int64_t first_output = at.channel / s.weight.channels * s.outputs, c = at.channel % s.weight.channels;
    T sum = 0;
    for (int64_t k = first_output; k < first_output + s.outputs; ++k)
      for (int64_t a = 0; a < s.weight.height; ++a)
        for (int64_t b = 0; b < s.weight.width; ++b) {
          const int64_t top = at.row + s.padding.height - a * s.dilation.height, row = top / s.stride.height;
          const int64_t left = at.column + s.padding.width - b * s.dilation.width, column = left / s.stride.width;
          if (top >= 0 && left >= 0 && row < s.y.height && column < s.y.width && row * s.stride.height == top &&
              column * s.stride.width == left)
            sum += weight[s.weight.index(k, c, a, b)] * dy[s.y.index(at.image, k, row, column)];
        }
    dx[i] = sum;
  }
}

// One warp for each dweight[k, c, a, b]; its lanes share out the pixels of all images, neighbours to neighbours:
// 2·N·H·W FLOPs, and as many loads.
template <class T>
__global__ void convolve_weight_gradient(int64_t count, Sizes s, const T* dy, const T* x, T* dweight) {
  const int64_t pixels = s.y.height * s.y.width;
  for (int64_t i = warp_in_grid(); i < count; i += warps_in_grid()) {
    const Images::Place at = s.weight.place(i);  // image: k
    const int64_t channel = at.image / s.outputs * s.weight.channels + at.channel;
    T sum = 0;
    for (int64_t pixel = lane(); pixel < s.y.count * pixels; pixel += 32) {
      const int64_t image = pixel / pixels, i_row = pixel % pixels / s.y.width, i_column = pixel % s.y.width;
      const int64_t row = i_row * s.stride.height + at.row * s.dilation.height - s.padding.height;
      const int64_t column = i_column * s.stride.width + at.column * s.dilation.width - s.padding.width;
      if (row >= 0 && row < s.x.height && column >= 0 && column < s.x.width)
        sum += dy[s.y.index(image, at.image, i_row, i_column)] * x[s.x.index(image, channel, row, column)];
    }
    sum = warp_reduce(sum, Sum());
    if (lane() == 0) dweight[i] = sum;
  }
}

template <class T> void run_directly(ConvPass pass, const ConvGeometry& geometry, const ConvTensors& t) {
  const Sizes sizes(geometry);
  T *x = pointer<T>(t.x), *weight = pointer<T>(t.weight), *y = pointer<T>(t.y);
  const T* bias = t.bias.defined() ? pointer<T>(t.bias) : nullptr;
  if (pass == ConvPass::forward)
    launch_for(t.y.numel(), t.y.device(), convolve<T>, t.y.numel(), sizes, x, weight, bias, y);
  else if (pass == ConvPass::input_gradient)
    launch_for(t.x.numel(), t.y.device(), convolve_input_gradient<T>, t.x.numel(), sizes, y, weight, x);
  else
    launch_blocks((t.weight.numel() + 7) / 8, 256, t.y.device(), convolve_weight_gradient<T>, t.weight.numel(), sizes,
                  y, x, weight);
}

void run(ConvPass pass, const ConvGeometry& geometry, ConvTensors t) {
  const Tensor result = t.result(pass);
  if (result.numel() == 0) return;
  const Dtype dtype = result.dtype();
  for (Tensor* each : {&t.x, &t.weight, &t.y, &t.bias})
    if (each->defined() && !each->is(result)) *each = prepared(*each, dtype);
  if (dtype != float64 && run_cudnn(pass, geometry, t)) return;
  if (dtype == bfloat16) {  // a GPU before the A100 has no engine for it, but may have one for float32
    t.result(pass) = Tensor::empty(result.shape(), float32, result.device());
    run(pass, geometry, t);
    copy(t.result(pass), result);
    return;
  }
  if (dtype == float64) run_directly<double>(pass, geometry, t);
  else run_directly<float>(pass, geometry, t);
  if (t.relu) rectify(result);
}

}  // namespace

void conv(const ConvGeometry& geometry, const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu,
          const Tensor& y) {
  run(ConvPass::forward, geometry, {x, weight, y, bias, relu});
}

void conv_input_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& weight, const Tensor& dx) {
  run(ConvPass::input_gradient, geometry, {dx, weight, dy});
}

void conv_weight_gradient(const ConvGeometry& geometry, const Tensor& dy, const Tensor& x, const Tensor& dweight) {
  run(ConvPass::weight_gradient, geometry, {x, dweight, dy});
}

}  // namespace gradus::cuda
