#pragma once
// The memory of a CUDA graph. What is allocated while one is recorded has the same address at each launch, so it comes
// from here and not from the stream.

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/storage.h"

namespace gradus::cuda {

/// Blocks of one device. Those that the recorded step frees serve again later in that step. All are kept until neither
/// the graph nor a tensor needs them.
class GraphMemory : public std::enable_shared_from_this<GraphMemory> {
 public:
  explicit GraphMemory(Device device) : device_(device) {}
  ~GraphMemory();
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;

  Ref<Storage> allocate(size_t bytes, Device device);
  /// Keeps older memory that the recorded step would free, since the graph may read it; `release` frees it at the end.
  void keep(std::function<void()> release) { kept_.push_back(std::move(release)); }

  /// That of the graph which this thread records; null if it records none.
  static GraphMemory* recording();

 private:
  Device device_;
  std::vector<void*> blocks_;
  std::multimap<size_t, void*> free_;  // by size
  std::vector<std::function<void()>> kept_;
};

/// Fails if this thread records a graph, in which the program cannot wait for the device.
void forbid_recording();
/// See Runtime.
std::function<void()> capture(const std::function<void()>& step, Device device);

}  // namespace gradus::cuda
