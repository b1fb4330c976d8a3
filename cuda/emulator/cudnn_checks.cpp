// What the emulated cuDNN refuses when an object is finalized, as NVIDIA's does.

#include <algorithm>

#include "cudnn_objects.h"

namespace gradus::emulator {
namespace {

std::string fault_of_tensor(const Object& tensor) {
  const Sizes dims = tensor.dims();
  const auto type = tensor.get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_INT8);
  if (dims.empty() || dims.size() != tensor.strides().size()) return "as many strides as dimensions are needed";
  if (std::any_of(dims.begin(), dims.end(), [](std::int64_t size) { return size <= 0; })) return "a dimension is 0";
  const bool is_truth_or_index = type == CUDNN_DATA_INT32 || type == CUDNN_DATA_BOOLEAN;
  if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16 && !(is_truth_or_index && tensor.is_virtual()))
    return "the data type is not emulated";
  if (tensor.is_number() && (type != CUDNN_DATA_FLOAT || count(dims) != 1)) return "only single floats go by value";
  if (!tensor.has(CUDNN_ATTR_TENSOR_UNIQUE_ID) || !tensor.has(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT))
    return "the unique id or the alignment is missing";
  return "";
}

std::string fault_of_settings(const Object& object) {
  const ConvSettings s(object);
  const auto wrong = [](const Sizes& values, std::int64_t least) {
    return values.size() != 2 || std::min(values[0], values[1]) < least;
  };
  if (object.get<std::int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) != 2) return "only images are emulated";
  if (wrong(s.before, 0) || wrong(s.after, 0)) return "a padding is negative or missing";
  if (wrong(s.stride, 1) || wrong(s.dilation, 1)) return "a stride or dilation is below 1 or missing";
  if (object.get<int>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION ||
      object.get<int>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return "only cross-correlation in float32 is emulated";
  return "";
}

std::string fault_of_convolution(const Object& step, const ConvNames& names) {
  for (const auto name : {names.x, names.weight, names.y, names.settings})
    if (!step.has(name)) return "a part is missing";
  const Sizes x = step.object(names.x).dims(), w = step.object(names.weight).dims(), y = step.object(names.y).dims();
  const ConvSettings s(step.object(names.settings));
  if (x.size() != 4 || w.size() != 4 || y.size() != 4) return "tensors need 4 dimensions";
  if (x[0] != y[0]) return "x and y differ in their number of images";
  if (x[1] % w[1] != 0 || w[0] % (x[1] / w[1]) != 0) return "the channels of x and of the filter do not fit";
  if (w[0] != y[1]) return "the channels of y and of the filter do not fit";
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t room = x[i + 2] + s.before[i] + s.after[i] - (s.dilation[i] * (w[i + 2] - 1) + 1);
    if (room < 0 || y[i + 2] != room / s.stride[i] + 1) return "the height or width of y does not fit";
  }
  if (step.get<float>(names.alpha) != 1 || step.get<float>(names.beta) != 0) return "alpha and beta must be 1 and 0";
  return "";
}

// Whether x can be broadcast to the shape of y.
bool fits(const Sizes& x, const Sizes& y) {
  bool fits = x.size() == y.size();
  for (std::size_t i = 0; fits && i < y.size(); ++i) fits = x[i] == y[i] || x[i] == 1;
  return fits;
}

std::string fault_of_pointwise(const Object& step) {
  for (const auto name : {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                          CUDNN_ATTR_OPERATION_POINTWISE_YDESC})
    if (!step.has(name)) return "a part is missing";
  const std::vector<const Object*> tensors = tensors_of(step);
  if (tensors.size() != operands_of(mode_of(step)) + 1) return "the mode is not emulated, or has other operands";
  const auto axis =
      step.object(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).get<std::int64_t>(CUDNN_ATTR_POINTWISE_AXIS, -1);
  if (mode_of(step) == CUDNN_POINTWISE_GEN_INDEX &&
      (axis < 0 || axis >= static_cast<std::int64_t>(tensors.back()->dims().size())))
    return "there is no such axis";
  for (const Object* tensor : tensors)
    if (!fits(tensor->dims(), tensors.back()->dims())) return "an operand cannot be broadcast to the shape of y";
  return "";
}

std::string fault_of_reduction(const Object& step) {
  for (const auto name : {CUDNN_ATTR_OPERATION_REDUCTION_DESC, CUDNN_ATTR_OPERATION_REDUCTION_XDESC,
                          CUDNN_ATTR_OPERATION_REDUCTION_YDESC})
    if (!step.has(name)) return "a part is missing";
  const auto by = step.object(CUDNN_ATTR_OPERATION_REDUCTION_DESC).get<int>(CUDNN_ATTR_REDUCTION_OPERATOR);
  if (by != CUDNN_REDUCE_TENSOR_ADD && by != CUDNN_REDUCE_TENSOR_MAX) return "the reduction is not emulated";
  const std::vector<const Object*> tensors = tensors_of(step);
  return fits(tensors[1]->dims(), tensors[0]->dims()) ? "" : "y has neither the size of x nor 1";
}

std::string fault_of_product(const Object& step) {
  for (const auto name : {CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_ATTR_OPERATION_MATMUL_ADESC,
                          CUDNN_ATTR_OPERATION_MATMUL_BDESC, CUDNN_ATTR_OPERATION_MATMUL_CDESC})
    if (!step.has(name)) return "a part is missing";
  const std::vector<const Object*> tensors = tensors_of(step);
  Sizes a = tensors[0]->dims(), b = tensors[1]->dims(), y = tensors[2]->dims();
  const std::size_t last = a.size() - 1;
  if (a.size() < 2 || a.size() != b.size() || a.size() != y.size()) return "the matrices differ in dimensions";
  if (a[last] != b[last - 1]) return "the rows of a and the columns of b differ in length";
  a[last] = b[last];  // what y must be
  b[last - 1] = a[last - 1];
  return a == y && b == y ? "" : "the shape of y does not fit";
}

std::string fault_of_norm(const Object& step) {
  const bool is_forward = step.type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR;
  for (const auto name : norm_tensors(step))
    if (!step.has(name)) return "a part is missing";
  if (step.get<int>(is_forward ? CUDNN_ATTR_OPERATION_NORM_FWD_MODE : CUDNN_ATTR_OPERATION_NORM_BWD_MODE) !=
          CUDNN_BATCH_NORM ||
      (is_forward && step.get<int>(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE) != CUDNN_NORM_FWD_TRAINING))
    return "only batch norm in training is emulated";
  const std::vector<const Object*> tensors = tensors_of(step);
  const Sizes x = tensors[0]->dims();
  if (x.size() != 4 || x[1] % 8 != 0) return "x needs 4 dimensions and a multiple of 8 channels";
  const Sizes channels{1, x[1], 1, 1};
  const std::size_t last = tensors.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const bool is_image = i == 0 || i == last || (!is_forward && i == 4);
    if (is_forward && i == 5 ? !tensors[i]->is_number() : tensors[i]->dims() != (is_image ? x : channels))
      return "epsilon is no number, or a tensor has neither the shape of x nor one number for each channel";
    if (tensors[i]->is_bfloat16() && !is_image) return "weight, bias and statistics must be float32";
  }
  return "";
}

std::string fault_of_graph(const Object& graph) {
  if (!graph.has(CUDNN_ATTR_OPERATIONGRAPH_OPS)) return "a graph needs steps";
  std::vector<std::int64_t> written;
  for (const Reference& step : graph.objects.at(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    const std::vector<const Object*> tensors = tensors_of(*step);
    for (const Object* tensor : tensors)
      if (tensor != tensors.back() && tensor->is_virtual() &&
          std::find(written.begin(), written.end(), tensor->id()) == written.end())
        return "a virtual tensor is read that no step has written";
    written.push_back(tensors.back()->id());
  }
  return "";
}

}  // namespace

std::string fault_of(const Object& object) {
  for (const auto& [name, others] : object.objects)
    for (const Reference& other : others)
      if (!other->is_final) return "it refers to an object that is not finalized";
  if (const ConvNames* names = names_of(object)) return fault_of_convolution(object, *names);
  const auto needs = [&](cudnnBackendAttributeName_t name) {
    return object.has(name) ? "" : "an attribute is missing";
  };
  switch (object.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return fault_of_tensor(object);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: return fault_of_settings(object);
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: return needs(CUDNN_ATTR_POINTWISE_MODE);
    case CUDNN_BACKEND_REDUCTION_DESCRIPTOR: return needs(CUDNN_ATTR_REDUCTION_OPERATOR);
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR: return needs(CUDNN_ATTR_MATMUL_COMP_TYPE);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return fault_of_pointwise(object);
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR: return fault_of_reduction(object);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: return fault_of_product(object);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR: return fault_of_norm(object);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return fault_of_graph(object);
    case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR:
      return object.has(CUDNN_ATTR_DEVICEPROP_HANDLE) ? "" : needs(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return object.has(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH) ? needs(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP)
                                                               : "an attribute is missing";
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return object.has(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG) ? needs(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP)
                                                                 : "an attribute is missing";
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return object.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).size() ==
                     object.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).size()
                 ? ""
                 : "as many ids as pointers are needed";
    default: return "this object is not emulated";
  }
}

}  // namespace gradus::emulator
