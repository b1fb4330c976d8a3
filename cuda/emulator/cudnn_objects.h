#pragma once
// The objects of the emulated cuDNN: bags of attributes, and what those of a graph mean.

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda_runtime.h"
//
#include <cudnn.h>

namespace gradus::emulator {

using Sizes = std::vector<std::int64_t>;

struct Object;
using Reference = std::shared_ptr<Object>;

struct Object {
  cudnnBackendDescriptorType_t type;
  bool is_final = false;
  std::map<cudnnBackendAttributeName_t, std::vector<char>> values = {};
  std::map<cudnnBackendAttributeName_t, std::vector<Reference>> objects = {};

  bool has(cudnnBackendAttributeName_t name) const { return values.count(name) + objects.count(name) > 0; }
  template <class T> std::vector<T> all(cudnnBackendAttributeName_t name) const {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    std::vector<T> result(found->second.size() / sizeof(T));
    std::memcpy(result.data(), found->second.data(), result.size() * sizeof(T));
    return result;
  }
  template <class T> T get(cudnnBackendAttributeName_t name, T otherwise = T()) const {
    const std::vector<T> found = all<T>(name);
    return found.empty() ? otherwise : found[0];
  }
  const Object& object(cudnnBackendAttributeName_t name) const { return *objects.at(name).at(0); }

  Sizes dims() const { return all<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS); }
  Sizes strides() const { return all<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES); }
  std::int64_t id() const { return get<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID); }
  bool is_virtual() const { return get<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL) != 0; }
  bool is_number() const { return get<char>(CUDNN_ATTR_TENSOR_IS_BY_VALUE) != 0; }
  bool is_bfloat16() const { return get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16; }
  std::size_t item() const { return is_bfloat16() ? 2 : 4; }
};

inline std::int64_t count(const Sizes& dims) {
  std::int64_t n = 1;
  for (const std::int64_t size : dims) n *= size;
  return n;
}

/// The attributes of one of the three convolutions. `result`: that of them which is written.
struct ConvNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, weight, y, settings, alpha, beta, result;
};
inline constexpr ConvNames conv_names[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW}};

/// Null for other steps.
inline const ConvNames* names_of(const Object& step) {
  for (const ConvNames& names : conv_names)
    if (names.type == step.type) return &names;
  return nullptr;
}

/// The tensors of batch norm: x, weight, mean, inverse deviation; then bias, epsilon and y, or dy, dbias, dweight and
/// dx. Of other steps none.
inline std::span<const cudnnBackendAttributeName_t> norm_tensors(const Object& step) {
  static constexpr cudnnBackendAttributeName_t forward[] = {
      CUDNN_ATTR_OPERATION_NORM_FWD_XDESC,     CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC,
      CUDNN_ATTR_OPERATION_NORM_FWD_YDESC};
  static constexpr cudnnBackendAttributeName_t backward[] = {
      CUDNN_ATTR_OPERATION_NORM_BWD_XDESC,       CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC,   CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC,      CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC,
      CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC};
  if (step.type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR) return forward;
  if (step.type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR) return backward;
  return {};
}

/// The tensors of a step, one that it writes last.
inline std::vector<const Object*> tensors_of(const Object& step) {
  if (const ConvNames* names = names_of(step)) {
    std::vector<const Object*> tensors;
    for (const auto name : {names->x, names->weight, names->y})
      if (name != names->result) tensors.push_back(&step.object(name));
    tensors.push_back(&step.object(names->result));
    return tensors;
  }
  std::vector<const Object*> tensors;
  for (const auto name : norm_tensors(step)) tensors.push_back(&step.object(name));
  for (const auto name :
       {CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC, CUDNN_ATTR_OPERATION_MATMUL_CDESC,
        CUDNN_ATTR_OPERATION_REDUCTION_XDESC, CUDNN_ATTR_OPERATION_REDUCTION_YDESC,
        CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
        CUDNN_ATTR_OPERATION_POINTWISE_TDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC})
    if (step.has(name)) tensors.push_back(&step.object(name));
  return tensors;
}

inline cudnnPointwiseMode_t mode_of(const Object& pointwise) {
  return pointwise.object(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
      .get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
}
/// How many tensors a mode takes; 0 if it is not emulated.
std::size_t operands_of(cudnnPointwiseMode_t mode);

struct ConvSettings {
  Sizes before, after, stride, dilation;
  explicit ConvSettings(const Object& object)
      : before(object.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)),
        after(object.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)),
        stride(object.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)),
        dilation(object.all<std::int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS)) {}
};

/// Why an object is refused when it is finalized; empty if it is not.
std::string fault_of(const Object& object);
/// The bytes of workspace that a plan needs.
std::int64_t workspace_of(const Object& plan);
/// Queues a plan. What is wrong with the memory that the variant pack names; empty if nothing is.
std::string run_plan(cudaStream_t stream, const Reference& plan, const Object& pack);

}  // namespace gradus::emulator
