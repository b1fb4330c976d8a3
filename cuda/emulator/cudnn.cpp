// cuDNN's graph API as an interpreter of what the backend makes of it: convolutions, attention and batch norm.

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cudnn_objects.h"
#include "device.h"

struct cudnnContext {
  int device = gradus::emulator::current_device();
  cudaStream_t stream = nullptr;
};

namespace gradus::emulator {
namespace {

// A descriptor is the address of a reference.
const Reference& reference(cudnnBackendDescriptor_t descriptor) { return *static_cast<Reference*>(descriptor); }

thread_local std::string last_error;

cudnnStatus_t refuse_with(cudnnStatus_t status, const std::string& why) {
  last_error = why;
  return status;
}

// GRADUS_CUDA_EMULATOR_CUDNN: "none" has engines for nothing, "float32" only for that, as GPUs before the A100.
bool has_engine(const Object& graph) {
  const char* setting = std::getenv("GRADUS_CUDA_EMULATOR_CUDNN");
  const std::string_view engines = setting ? setting : "all";
  const auto is_bfloat16 = [](const Object* tensor) { return tensor->is_bfloat16(); };
  for (const Reference& step : graph.objects.at(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    const auto tensors = tensors_of(*step);
    if (engines == "float32" && std::any_of(tensors.begin(), tensors.end(), is_bfloat16)) return false;
  }
  return engines != "none";
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_CHAR:
    case CUDNN_TYPE_BOOLEAN: return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR: return 8;
    default: return 4;  // float and the enumerations
  }
}

// What is made of an object that was not finalized by the caller: a configuration, or its engine.
void derive(cudnnBackendDescriptor_t descriptor, const Reference& graph) {
  Object& object = *reference(descriptor);
  object.objects[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] = {graph};
  object.is_final = true;
}

}  // namespace
}  // namespace gradus::emulator

using namespace gradus::emulator;

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    default: return "another error";
  }
}

void cudnnGetLastErrorString(char* message, size_t size) {
  if (size > 0) message[last_error.copy(message, size - 1)] = 0;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Reference(new Object{type});
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Reference*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Object& object = *reference(descriptor);
  if (object.is_final) return refuse_with(CUDNN_STATUS_BAD_PARAM, "the object is finalized");
  const auto n = static_cast<std::size_t>(count);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto* others = static_cast<const cudnnBackendDescriptor_t*>(values);
    std::vector<Reference>& objects = object.objects[name];
    objects.clear();
    for (std::size_t i = 0; i < n; ++i) objects.push_back(reference(others[i]));
  } else {
    const char* bytes = static_cast<const char*>(values);
    object.values[name].assign(bytes, bytes + n * size_of(type));
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Object& object = *reference(descriptor);
  const std::string fault = fault_of(object);
  if (!fault.empty()) return refuse_with(CUDNN_STATUS_BAD_PARAM, fault);
  if (object.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR &&
      !has_engine(object.object(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)))
    return refuse_with(CUDNN_STATUS_NOT_SUPPORTED, "no engine");
  object.is_final = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t most, int64_t* count, void* values) {
  const Object& object = *reference(descriptor);
  if (!object.is_final) return refuse_with(CUDNN_STATUS_BAD_PARAM, "the object is not finalized");
  *count = 1;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      if (most > 0)
        derive(*static_cast<cudnnBackendDescriptor_t*>(values),
               object.objects.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)[0]);
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: *count = 0; return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *static_cast<std::int64_t*>(values) = workspace_of(object);
      return CUDNN_STATUS_SUCCESS;
    default: return refuse_with(CUDNN_STATUS_NOT_SUPPORTED, "the attribute is not emulated");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  auto device = use_device();
  if (!reference(plan)->is_final || !reference(pack)->is_final)
    return refuse_with(CUDNN_STATUS_BAD_PARAM, "the plan or the variant pack is not finalized");
  const std::string elsewhere = check_current("handle", handle->device);
  if (!elsewhere.empty()) return refuse_with(CUDNN_STATUS_BAD_PARAM, elsewhere);
  const std::string fault = run_plan(handle->stream, reference(plan), *reference(pack));
  return fault.empty() ? CUDNN_STATUS_SUCCESS : refuse_with(CUDNN_STATUS_BAD_PARAM, fault);
}

}  // extern "C"
