#pragma once
// cuDNN's graph API: its objects ("backend descriptors"), and the graphs that are computed by it. Nothing here needs a
// GPU but running a plan: plans can be built for any device whose properties are known.

#include <cudnn.h>

#include <algorithm>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"
#include "ops/kernels.h"

namespace gradus::cuda {

/// cuDNN said no: a graph is wrong, or there is no engine for it.
struct Refused : Error {
  explicit Refused(const std::string& why) : Error(why, {}) {}
};

/// Throws Refused if cuDNN does not accept or support what a call asks for; fails on all other errors.
void check(cudnnStatus_t status, const char* call);

/// How cuDNN names the type of an attribute.
template <cudnnBackendAttributeType_t type> using Named = std::integral_constant<cudnnBackendAttributeType_t, type>;
template <class T> struct AttributeType;
template <> struct AttributeType<char> : Named<CUDNN_TYPE_CHAR> {};
template <> struct AttributeType<bool> : Named<CUDNN_TYPE_BOOLEAN> {};
template <> struct AttributeType<int64_t> : Named<CUDNN_TYPE_INT64> {};
template <> struct AttributeType<float> : Named<CUDNN_TYPE_FLOAT> {};
template <> struct AttributeType<void*> : Named<CUDNN_TYPE_VOID_PTR> {};
template <> struct AttributeType<cudnnHandle_t> : Named<CUDNN_TYPE_HANDLE> {};
template <> struct AttributeType<cudnnDataType_t> : Named<CUDNN_TYPE_DATA_TYPE> {};
template <> struct AttributeType<cudnnPointwiseMode_t> : Named<CUDNN_TYPE_POINTWISE_MODE> {};
template <> struct AttributeType<cudnnConvolutionMode_t> : Named<CUDNN_TYPE_CONVOLUTION_MODE> {};
template <> struct AttributeType<cudnnNanPropagation_t> : Named<CUDNN_TYPE_NAN_PROPOGATION> {};
template <> struct AttributeType<cudnnBackendHeurMode_t> : Named<CUDNN_TYPE_HEUR_MODE> {};
template <> struct AttributeType<cudnnBackendNormMode_t> : Named<CUDNN_TYPE_NORM_MODE> {};
template <> struct AttributeType<cudnnBackendNormFwdPhase_t> : Named<CUDNN_TYPE_NORM_FWD_PHASE> {};
template <> struct AttributeType<cudnnReduceTensorOp_t> : Named<CUDNN_TYPE_REDUCTION_OPERATOR_TYPE> {};
template <> struct AttributeType<cudnnBackendNumericalNote_t> : Named<CUDNN_TYPE_NUMERICAL_NOTE> {};

/// An object of the graph API. It is given its attributes, and can be used once it is finalized.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &raw_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor() {
    if (raw_) cudnnBackendDestroyDescriptor(raw_);
  }

  template <class T> Descriptor& set(cudnnBackendAttributeName_t name, std::span<const T> values) {
    check(cudnnBackendSetAttribute(raw_, name, AttributeType<T>::value, int64_t(values.size()), values.data()),
          "cudnnBackendSetAttribute");
    return *this;
  }
  template <class T> Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set(name, std::span<const T>(&value, 1));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const Descriptor* const> others);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    const Descriptor* each = &other;
    return set(name, std::span<const Descriptor* const>(&each, 1));
  }
  Descriptor& finalize() {
    check(cudnnBackendFinalize(raw_), "cudnnBackendFinalize");
    return *this;
  }

  /// Up to `most` values of an attribute of a finalized object.
  template <class T> std::vector<T> get(cudnnBackendAttributeName_t name, int64_t most = 1) const {
    std::vector<T> values(static_cast<size_t>(most));
    int64_t count = 0;
    check(cudnnBackendGetAttribute(raw_, name, AttributeType<T>::value, most, &count, values.data()),
          "cudnnBackendGetAttribute");
    values.resize(size_t(std::min(count, most)));
    return values;
  }
  /// All objects of that type that an attribute names.
  std::vector<Descriptor> get(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const;

  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

/// What a graph reads or writes: the number that it has there, and its address.
struct Operand {
  int64_t id;
  void* address;
};

/// How cuDNN computes a graph: the best engine for it, of those that always give the same sums, and in float32.
class Plan {
 public:
  /// `dtype`: that of the operands. `device`: a finalized CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR. Throws Refused if there
  /// is no such engine.
  Plan(const Descriptor& graph, Dtype dtype, const Descriptor& device);
  int64_t workspace_bytes() const { return plan_.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)[0]; }
  void run(cudnnHandle_t handle, std::span<const Operand> operands, void* workspace) const;

 private:
  Descriptor plan_;
};

enum class ConvPass { forward, input_gradient, weight_gradient };

/// A convolution or one of its gradients, of contiguous tensors of one dtype: float32, or bfloat16 with sums in
/// float32. Their addresses, or those of their gradients, are multiples of 16.
struct ConvTask {
  enum Id : int64_t { x, weight, y, bias };
  ConvPass pass;
  Dtype dtype;
  bool has_bias, has_relu;  // forward only; relu(y) needs a bias
  kernel::ConvGeometry geometry;

  Descriptor graph() const;
  /// Equal for equal tasks only.
  std::vector<int64_t> key() const;
};

/// y = relu(x·weightᵀ + bias) of contiguous bfloat16 with sums in float32: x [rows, in], weight [out, in], bias [out].
/// Addresses are multiples of 16.
struct LinearTask {
  enum Id : int64_t { x, weight, bias, y };
  int64_t rows, in, out;
  static constexpr Dtype dtype = bfloat16;

  Descriptor graph() const;
  std::vector<int64_t> key() const;
};

/// y = softmax(scale·q·kᵀ)·v in bfloat16, which the probabilities are rounded to, with sums in float32; and the
/// log_sum_exp of each query, contiguous. Tensors are [B, H, T, E] (k: [B, H, S, E], v: [B, H, S, Ev], y:
/// [B, H, T, Ev]); along the last dimension they are contiguous, and all other strides are multiples of 16 bytes, as
/// are the addresses.
struct AttentionTask {
  /// scale and blind, −∞, are floats of the CPU.
  enum Id : int64_t { q, k, v, y, log_sum_exp, scale, blind };
  struct View {
    Shape shape;
    Strides strides;
  };
  bool is_causal;
  View views[4];  // q, k, v, y
  static constexpr Dtype dtype = bfloat16;

  Descriptor graph() const;
  std::vector<int64_t> key() const;
};

/// Batch norm in training, of contiguous bfloat16; all other tensors have one float32 for each channel. Forward it
/// writes y, the means and the inverse deviations, 1 / √(variance + epsilon), which backward reads: there it writes dx,
/// dweight and the gradient of the bias, given that of y. All addresses are multiples of 16.
struct BatchNormTask {
  /// epsilon, a float of the CPU, is used forward only.
  enum Id : int64_t { x, weight, bias, y, mean, inverse_deviation, epsilon, dx, dweight };
  bool is_backward;
  Shape shape;  // [N, C, H, W]
  static constexpr Dtype dtype = bfloat16;

  Descriptor graph() const;
  std::vector<int64_t> key() const;
};

}  // namespace gradus::cuda
