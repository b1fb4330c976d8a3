// Steps recorded as CUDA graphs.

#include "cuda/device.h"
#include "cuda/graph.h"

namespace gradus::cuda {

static constinit thread_local GraphMemory* current = nullptr;

GraphMemory* GraphMemory::recording() { return current; }

// cudaFree waits until the device no longer uses the memory.
GraphMemory::~GraphMemory() {
  for (void* block : blocks_) (void)cudaFree(block);
  for (const auto& release : kept_) release();
}

Ref<Storage> GraphMemory::allocate(size_t bytes, Device device) {
  if (device != device_)
    fail("a CUDA graph of " + to_string(device_) + " cannot record what " + to_string(device) + " is to do");
  std::pair<size_t, void*> block{std::max<size_t>(bytes, 1), nullptr};
  if (const auto place = free_.lower_bound(block.first); place != free_.end() && place->first / 2 <= block.first) {
    block = *place;
    free_.erase(place);
  } else {
    check(cudaMalloc(&block.second, block.first), "cudaMalloc");
    blocks_.push_back(block.second);
  }
  return Storage::foreign(block.second, bytes, device, [memory = shared_from_this(), block] {
    if (memory.get() == current) memory->free_.insert(block);
  });
}

void forbid_recording() {
  if (current)
    fail(
        "the program cannot wait for the device while it records a CUDA graph: read results after a launch, and copy "
        "inputs to the device before");
}

std::function<void()> capture(const std::function<void()>& step, Device device) {
  const DeviceGuard guard(device);
  const auto memory = std::make_shared<GraphMemory>(device);
  // Others than the relaxed mode forbid cudaMalloc.
  check(cudaStreamBeginCapture(cudaStreamPerThread, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  const auto end = [&] {
    current = nullptr;
    return cudaStreamEndCapture(cudaStreamPerThread, &graph);
  };
  current = memory.get();
  try {
    step();
  } catch (...) {
    if (end() == cudaSuccess) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    throw;
  }
  check(end(), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(error, "cudaGraphInstantiate");
  const std::shared_ptr<CUgraphExec_st> owner(executable, cudaGraphExecDestroy);
  return [memory, owner, device] {
    const DeviceGuard here(device);
    check(cudaGraphLaunch(owner.get(), cudaStreamPerThread), "cudaGraphLaunch");
  };
}

}  // namespace gradus::cuda
