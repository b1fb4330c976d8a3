// The graphs that cuDNN computes.

#include <array>
#include <initializer_list>

#include "cuda/cudnn.h"

namespace gradus::cuda {
namespace {

Descriptor tensor(int64_t id, const Shape& shape, const Strides& strides, cudnnDataType_t type, bool is_virtual = false,
                  bool is_number = false) {
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(shape.begin(), shape.end()))
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides.begin(), strides.end()))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t(16))
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual)
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, is_number);
  return std::move(result.finalize());
}
Descriptor tensor(int64_t id, const Shape& shape, cudnnDataType_t type) {
  return tensor(id, shape, contiguous_strides(shape), type);
}
// A float that lies in memory of the CPU.
Descriptor number(int64_t id) { return tensor(id, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_DATA_FLOAT, false, true); }

cudnnDataType_t type_of(Dtype dtype) { return dtype == bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

// The zeros after the last row or column: as many as before the first if that gives an output of the wanted size.
int64_t padding_after(int64_t before, int64_t x, int64_t kernel, int64_t y, int64_t stride, int64_t dilation) {
  const int64_t least = (y - 1) * stride + dilation * (kernel - 1) + 1 - x - before;
  return std::clamp(before, least, least + stride - 1);
}

Descriptor settings(const kernel::ConvGeometry& g) {
  const auto both = [](Size2d size) { return std::array{size.height, size.width}; };
  const std::array after{
      padding_after(g.padding.height, g.x[2], g.weight[2], g.y[2], g.stride.height, g.dilation.height),
      padding_after(g.padding.width, g.x[3], g.weight[3], g.y[3], g.stride.width, g.dilation.width)};
  Descriptor result(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  result.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2))
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const int64_t>(both(g.padding)))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const int64_t>(after))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const int64_t>(both(g.stride)))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const int64_t>(both(g.dilation)));
  return std::move(result.finalize());
}

// The steps of a graph. The functions below make them; the last tensor is written.
class Steps {
 public:
  void add(Descriptor step) {
    step.finalize();
    steps_.push_back(std::move(step));
  }
  // A tensor that lies nowhere: it passes from one step to the next.
  Descriptor between(const Shape& shape, cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return tensor(next_id_++, shape, contiguous_strides(shape), type, true);
  }
  Descriptor graph() const {
    std::vector<const Descriptor*> steps;
    for (const Descriptor& step : steps_) steps.push_back(&step);
    Descriptor result(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    return std::move(result.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor* const>(steps)).finalize());
  }

 private:
  std::vector<Descriptor> steps_;
  int64_t next_id_ = 100;  // beyond the ids of every task
};

// The three passes are the same step with other names.
Descriptor convolution(ConvPass pass, const Descriptor& x, const Descriptor& weight, const Descriptor& y,
                       const Descriptor& how) {
  struct Names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, weight, y, how, alpha, beta;
  };
  static constexpr Names names[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  const Names& name = names[int(pass)];
  Descriptor result(name.type);
  result.set(name.x, x)
      .set(name.weight, weight)
      .set(name.y, y)
      .set(name.how, how)
      .set(name.alpha, 1.f)
      .set(name.beta, 0.f);
  return result;
}

// One to three operands, which are broadcast.
Descriptor pointwise(cudnnPointwiseMode_t mode, std::initializer_list<const Descriptor*> operands, const Descriptor& y,
                     cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT, int64_t axis = -1) {
  constexpr cudnnBackendAttributeName_t names[] = {
      CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR), result(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, arithmetic);
  if (axis >= 0) how.set(CUDNN_ATTR_POINTWISE_AXIS, axis);
  if (mode == CUDNN_POINTWISE_RELU_FWD) how.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_PROPAGATE_NAN);
  result.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how.finalize()).set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  for (size_t i = 0; i < operands.size(); ++i) result.set(names[i], *operands.begin()[i]);
  return result;
}

// y has a size of 1 where x is reduced.
Descriptor reduction(cudnnReduceTensorOp_t by, const Descriptor& x, const Descriptor& y) {
  Descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR), result(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  how.set(CUDNN_ATTR_REDUCTION_OPERATOR, by).set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  result.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how.finalize())
      .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
  return result;
}

Descriptor product(const Descriptor& a, const Descriptor& b, const Descriptor& y) {
  Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR), result(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
  result.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how.finalize())
      .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a)
      .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b)
      .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, y);
  return result;
}

// y = sum + bias, or relu(sum + bias), for a sum of that shape.
void add_bias(Steps& steps, const Descriptor& sum, const Descriptor& bias, const Shape& shape, bool relu,
              const Descriptor& y) {
  if (!relu) return steps.add(pointwise(CUDNN_POINTWISE_ADD, {&sum, &bias}, y));
  const Descriptor biased = steps.between(shape);
  steps.add(pointwise(CUDNN_POINTWISE_ADD, {&sum, &bias}, biased));
  steps.add(pointwise(CUDNN_POINTWISE_RELU_FWD, {&biased}, y));
}

}  // namespace

Descriptor ConvTask::graph() const {
  const kernel::ConvGeometry& g = geometry;
  const cudnnDataType_t type = type_of(dtype);
  const Descriptor in = tensor(Id::x, g.x, type), kernel = tensor(Id::weight, g.weight, type),
                   out = tensor(Id::y, g.y, type);
  Steps steps;
  if (has_bias) {
    const Descriptor sum = steps.between(g.y), added = tensor(Id::bias, {1, g.y[1], 1, 1}, type);
    steps.add(convolution(pass, in, kernel, sum, settings(g)));
    add_bias(steps, sum, added, g.y, has_relu, out);
  } else {
    steps.add(convolution(pass, in, kernel, out, settings(g)));
  }
  return steps.graph();
}

std::vector<int64_t> ConvTask::key() const {
  const kernel::ConvGeometry& g = geometry;
  std::vector<int64_t> key{int64_t(pass), int64_t(dtype), has_bias, has_relu};
  for (Size2d size : {g.stride, g.padding, g.dilation}) key.insert(key.end(), {size.height, size.width});
  for (const Shape& shape : {g.x, g.weight, g.y}) key.insert(key.end(), shape.begin(), shape.end());
  return key;
}

Descriptor LinearTask::graph() const {
  const cudnnDataType_t type = type_of(dtype);
  const Shape result{1, rows, out};
  Steps steps;
  const Descriptor sum = steps.between(result);
  steps.add(product(tensor(Id::x, {1, rows, in}, type),
                    tensor(Id::weight, {1, in, out}, Strides{in * out, 1, in}, type), sum));
  add_bias(steps, sum, tensor(Id::bias, {1, 1, out}, type), result, true, tensor(Id::y, result, type));
  return steps.graph();
}

std::vector<int64_t> LinearTask::key() const { return {rows, in, out}; }

// Step by step what engines for attention know as one computation, in tiles that stay on the chip.
Descriptor AttentionTask::graph() const {
  const cudnnDataType_t type = type_of(dtype);
  const auto operand = [&](Id id, bool transposed = false) {
    View x = views[id];
    if (transposed) std::swap(x.shape[2], x.shape[3]), std::swap(x.strides[2], x.strides[3]);
    return tensor(id, x.shape, x.strides, type);
  };
  const Shape& queries = views[Id::q].shape;
  const Shape scores{queries[0], queries[1], queries[2], views[Id::k].shape[2]};
  const Shape rows{queries[0], queries[1], queries[2], 1};
  Steps steps;
  const auto apply = [&](cudnnPointwiseMode_t mode, const Shape& shape, std::initializer_list<const Descriptor*> x) {
    Descriptor result = steps.between(shape);
    steps.add(pointwise(mode, x, result));
    return result;
  };
  const Descriptor dots = steps.between(scores), factor = number(Id::scale);
  steps.add(product(operand(Id::q), operand(Id::k, true), dots));
  Descriptor score = apply(CUDNN_POINTWISE_MUL, scores, {&dots, &factor});
  if (is_causal) {
    const Descriptor t = steps.between(scores, CUDNN_DATA_INT32), s = steps.between(scores, CUDNN_DATA_INT32);
    const Descriptor sees = steps.between(scores, CUDNN_DATA_BOOLEAN), infinity = number(Id::blind);
    steps.add(pointwise(CUDNN_POINTWISE_GEN_INDEX, {&score}, t, CUDNN_DATA_INT32, 2));
    steps.add(pointwise(CUDNN_POINTWISE_GEN_INDEX, {&score}, s, CUDNN_DATA_INT32, 3));
    steps.add(pointwise(CUDNN_POINTWISE_CMP_GE, {&t, &s}, sees, CUDNN_DATA_BOOLEAN));
    score = apply(CUDNN_POINTWISE_BINARY_SELECT, scores, {&score, &infinity, &sees});
  }
  const Descriptor largest = steps.between(rows), sum = steps.between(rows), p = steps.between(scores, type);
  steps.add(reduction(CUDNN_REDUCE_TENSOR_MAX, score, largest));
  const Descriptor shifted = apply(CUDNN_POINTWISE_SUB, scores, {&score, &largest});
  const Descriptor exponential = apply(CUDNN_POINTWISE_EXP, scores, {&shifted});
  steps.add(reduction(CUDNN_REDUCE_TENSOR_ADD, exponential, sum));
  const Descriptor logarithm = apply(CUDNN_POINTWISE_LOG, rows, {&sum});
  steps.add(pointwise(CUDNN_POINTWISE_ADD, {&largest, &logarithm}, tensor(Id::log_sum_exp, rows, CUDNN_DATA_FLOAT)));
  steps.add(pointwise(CUDNN_POINTWISE_DIV, {&exponential, &sum}, p));
  steps.add(product(p, operand(Id::v), operand(Id::y)));
  return steps.graph();
}

std::vector<int64_t> AttentionTask::key() const {
  std::vector<int64_t> key{is_causal};
  for (const View& x : views)
    for (const Shape& sizes : {x.shape, x.strides}) key.insert(key.end(), sizes.begin(), sizes.end());
  return key;
}

Descriptor BatchNormTask::graph() const {
  const auto images = [&](Id id) { return tensor(id, shape, type_of(dtype)); };
  const auto channels = [&](Id id) { return tensor(id, {1, shape[1], 1, 1}, CUDNN_DATA_FLOAT); };
  Descriptor step(is_backward ? CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR
                              : CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  if (is_backward)
    step.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM)
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, images(Id::x))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, channels(Id::weight))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, channels(Id::mean))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, channels(Id::inverse_deviation))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, images(Id::y))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, images(Id::dx))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, channels(Id::dweight))
        .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, channels(Id::bias));
  else
    step.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING)
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, images(Id::x))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, channels(Id::weight))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, channels(Id::bias))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, number(Id::epsilon))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, channels(Id::mean))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, channels(Id::inverse_deviation))
        .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, images(Id::y));
  Steps steps;
  steps.add(std::move(step));
  return steps.graph();
}

std::vector<int64_t> BatchNormTask::key() const { return {is_backward, shape[0], shape[1], shape[2], shape[3]}; }

}  // namespace gradus::cuda
