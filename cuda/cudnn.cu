#include <array>

#include "cuda/cudnn.h"

namespace gradus::cuda {

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char details[512] = "";
  cudnnGetLastErrorString(details, sizeof details);
  const std::string text = std::string(call) + ": " + cudnnGetErrorString(status) + ": " + details;
  if (status >= CUDNN_STATUS_BAD_PARAM && status < CUDNN_STATUS_INTERNAL_ERROR) throw Refused(text);
  fail(text);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, std::span<const Descriptor* const> others) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor* other : others) raw.push_back(other->raw_);
  check(cudnnBackendSetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()), raw.data()),
        "cudnnBackendSetAttribute");
  return *this;
}

std::vector<Descriptor> Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const {
  int64_t count = 0;
  const auto read = [&](int64_t most, cudnnBackendDescriptor_t* into) {
    check(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, into),
          "cudnnBackendGetAttribute");
  };
  read(0, nullptr);  // how many there are
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) raw.push_back(found.emplace_back(type).raw_);
  read(count, raw.data());
  while (int64_t(found.size()) > count) found.pop_back();
  return found;
}

namespace {

enum Id : int64_t { x_id = 1, weight_id, y_id, bias_id, sum_id };

// A tensor of a graph, contiguous. A virtual one lies nowhere: it passes from one step of the graph to the next.
Descriptor tensor(Id id, const Shape& shape, cudnnDataType_t type, bool is_virtual = false) {
  const Strides strides = contiguous_strides(shape);
  Descriptor result(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  result.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t(id))
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const int64_t>(shape.begin(), shape.end()))
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const int64_t>(strides.begin(), strides.end()))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t(16))
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  return std::move(result.finalize());
}

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
  return std::move(result.finalize());
}

Descriptor addition(const Descriptor& a, const Descriptor& b, const Descriptor& y) {
  Descriptor mode(CUDNN_BACKEND_POINTWISE_DESCRIPTOR), result(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  mode.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_ADD)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT)
      .finalize();
  result.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  return std::move(result.finalize());
}

Descriptor graph(const ConvTask& task) {
  const kernel::ConvGeometry& g = task.geometry;
  const cudnnDataType_t type = task.dtype == bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const Descriptor x = tensor(x_id, g.x, type), weight = tensor(weight_id, g.weight, type);
  const Descriptor y = tensor(y_id, g.y, type), how = settings(g);
  Descriptor result(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (task.has_bias) {
    const Descriptor sum = tensor(sum_id, g.y, CUDNN_DATA_FLOAT, true);
    const Descriptor bias = tensor(bias_id, {1, g.y[1], 1, 1}, type);
    const Descriptor product = convolution(task.pass, x, weight, sum, how), add = addition(sum, bias, y);
    const Descriptor* steps[] = {&product, &add};
    result.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor* const>(steps)).finalize();
  } else {
    result.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, convolution(task.pass, x, weight, y, how)).finalize();
  }
  return result;
}

// Whether an engine gives the same result in every run, and does not round float32 to fewer digits (as Tensor Cores
// do).
bool is_exact(const Descriptor& config, Dtype dtype) {
  const Descriptor engine = std::move(config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR).at(0));
  for (const cudnnBackendNumericalNote_t note :
       engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT))
    if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
        note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
        (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && dtype == float32))
      return false;
  return true;
}

// The first plan that can be made of the engines that cuDNN recommends, the best first.
Descriptor make_plan(const ConvTask& task, const Descriptor& device) {
  const Descriptor work = graph(task);
  std::string why = "cuDNN has no engine for it";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) try {
      Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
      heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, work)
          .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode)
          .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device)
          .finalize();
      for (const Descriptor& config : heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
        try {
          if (!is_exact(config, task.dtype)) continue;
          Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
          plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config)
              .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device)
              .finalize();
          return plan;
        } catch (const Refused& refused) {
          why = refused.what();
        }
    } catch (const Refused& refused) {
      why = refused.what();
    }
  throw Refused(why);
}

}  // namespace

ConvPlan::ConvPlan(const ConvTask& task, const Descriptor& device)
    : plan_(make_plan(task, device)), has_bias_(task.has_bias) {}

void ConvPlan::run(cudnnHandle_t handle, const ConvMemory& memory, void* workspace) const {
  const std::array<int64_t, 4> ids{x_id, weight_id, y_id, bias_id};
  const std::array<void*, 4> addresses{memory.x, memory.weight, memory.y, memory.bias};
  const size_t count = has_bias_ ? 4 : 3;
  Descriptor arguments(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  arguments.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const int64_t>(ids.data(), count))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(addresses.data(), count))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
  check(cudnnBackendExecute(handle, plan_.raw(), arguments.raw()), "cudnnBackendExecute");
}

}  // namespace gradus::cuda
