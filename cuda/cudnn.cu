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
Descriptor make_plan(const Descriptor& graph, Dtype dtype, const Descriptor& device) {
  std::string why = "cuDNN has no engine for it";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) try {
      Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
      heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
          .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode)
          .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device)
          .finalize();
      for (const Descriptor& config : heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
        try {
          if (!is_exact(config, dtype)) continue;
          Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
          plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config)
              .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device)
              .finalize();
          return plan;
        } catch (const Error& error) {  // also what it fails to compile, or to load
          why = error.what();
        }
    } catch (const Refused& refused) {
      why = refused.what();
    }
  throw Refused(why);
}

}  // namespace

Plan::Plan(const Descriptor& graph, Dtype dtype, const Descriptor& device) : plan_(make_plan(graph, dtype, device)) {}

void Plan::run(cudnnHandle_t handle, std::span<const Operand> operands, void* workspace) const {
  std::vector<int64_t> ids;
  std::vector<void*> addresses;
  for (const Operand& operand : operands) {
    ids.push_back(operand.id);
    addresses.push_back(operand.address);
  }
  Descriptor arguments(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  arguments.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const int64_t>(ids))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(addresses))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
  check(cudnnBackendExecute(handle, plan_.raw(), arguments.raw()), "cudnnBackendExecute");
}

}  // namespace gradus::cuda
