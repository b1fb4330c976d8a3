#include "cuda/cudnn_run.h"

#include <map>
#include <memory>

#include "cuda/device.h"
#include "cuda/graph.h"

namespace gradus::cuda {
namespace {

// cuDNN on the current device for one thread: a handle whose work goes to the thread's stream, and the plans so far.
struct Cudnn {
  cudnnHandle_t handle = nullptr;
  Descriptor properties{CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR};
  std::map<std::vector<int64_t>, std::shared_ptr<const Plan>> plans;  // null where cuDNN refused

  Cudnn() {
    check(cudnnCreate(&handle), "cudnnCreate");
    check(cudnnSetStream(handle, cudaStreamPerThread), "cudnnSetStream");
    properties.set(CUDNN_ATTR_DEVICEPROP_HANDLE, handle).finalize();
  }
  ~Cudnn() {
    plans.clear();
    cudnnDestroy(handle);
  }

  static Cudnn& on(Device device) {
    static thread_local std::map<int, Cudnn> of_device;
    return of_device[device.index];
  }

  template <class Task> std::shared_ptr<const Plan> plan(const Task& task) {
    std::vector<int64_t> key = task.key();
    if (const auto place = plans.find(key); place != plans.end()) return place->second;
    if (plans.size() >= 4096 && !GraphMemory::recording()) {  // shapes that keep changing
      check(cudaStreamSynchronize(cudaStreamPerThread), "cudaStreamSynchronize");
      plans.clear();
    }
    std::shared_ptr<const Plan> made;
    try {
      made = std::make_shared<const Plan>(task.graph(), task.dtype, properties);
    } catch (const Refused&) {
    }
    plans.emplace(std::move(key), made);
    return made;
  }
};

}  // namespace

template <class Task> bool run_cudnn(const Task& task, Device device, std::span<const Operand> operands) {
  const DeviceGuard guard(device);
  Cudnn& cudnn = Cudnn::on(device);
  const std::shared_ptr<const Plan> plan = cudnn.plan(task);
  if (!plan) return false;
  if (GraphMemory* graph = GraphMemory::recording()) graph->keep([plan] {});  // the plan owns the kernels
  const Tensor workspace = Tensor::empty({plan->workspace_bytes()}, boolean, device);
  plan->run(cudnn.handle, operands, Target(workspace).data);
  return true;
}

template bool run_cudnn(const ConvTask& task, Device device, std::span<const Operand> operands);
template bool run_cudnn(const LinearTask& task, Device device, std::span<const Operand> operands);
template bool run_cudnn(const AttentionTask& task, Device device, std::span<const Operand> operands);
template bool run_cudnn(const BatchNormTask& task, Device device, std::span<const Operand> operands);

Tensor prepared(const Tensor& x, Dtype dtype) {
  const Tensor compacted = compact(x, dtype);
  if (is_aligned(compacted)) return compacted;
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  copy(compacted, y);
  return y;
}

}  // namespace gradus::cuda
