// From a launch to its blocks.

#include <algorithm>
#include <atomic>
#include <exception>
#include <numeric>
#include <random>
#include <vector>

#include "block.h"
#include "device.h"
#include "emulator/emulator.h"
#include "source.h"
#include "trace.h"

namespace gradus::emulator {
namespace {

std::string sizes(dim3 d) { return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z); }

// The order in which blocks start: CUDA promises none.
std::vector<std::size_t> order_of(std::size_t blocks, unsigned launch_number) {
  std::vector<std::size_t> order(blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::minstd_rand random(settings().shuffle + launch_number);
  if (settings().shuffle) std::shuffle(order.begin(), order.end(), random);
  return order;
}

void run(const Launch& launch) {
  static unsigned launch_number = 0;
  const unsigned number = ++launch_number;
  const dim3 grid = launch.grid;
  const auto order = order_of(std::size_t{grid.x} * grid.y * grid.z, number);
  const auto count = static_cast<std::ptrdiff_t>(order.size());
  const int threads = trace::enabled ? 1 : std::max(1, settings().threads);
  if (trace::enabled) trace::begin_launch(launch);
  std::exception_ptr error;
  std::atomic<bool> failed{false};
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1 && count > 1)
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    if (failed) continue;
    static thread_local Block block;  // kept, with its fibers, for the next launch
    const std::size_t k = order[static_cast<std::size_t>(i)], layer = std::size_t{grid.x} * grid.y;
    try {
      block.run(launch, number,
                {static_cast<unsigned>(k % grid.x), static_cast<unsigned>(k % layer / grid.x),
                 static_cast<unsigned>(k / layer)});
    } catch (...) {
#pragma omp critical(gradus_emulator_error)
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

cudaError_t launch(Launch launch, cudaStream_t stream) {
  auto device = use_device();
  const cudaDeviceProp& p = properties();
  auto within = [](dim3 size, const int* limits) {
    return size.x > 0 && size.y > 0 && size.z > 0 && size.x <= static_cast<unsigned>(limits[0]) &&
           size.y <= static_cast<unsigned>(limits[1]) && size.z <= static_cast<unsigned>(limits[2]);
  };
  auto refuse_launch = [&](cudaError_t error, const std::string& why) {
    return refuse(error, function_name(launch.kernel.function) + " is launched with " + why);
  };
  const dim3 block = launch.block;
  if (!within(launch.grid, p.maxGridSize))
    return refuse_launch(cudaErrorInvalidConfiguration, "a grid of " + sizes(launch.grid) + " blocks");
  if (!within(block, p.maxThreadsDim) || std::size_t{block.x} * block.y * block.z > 1024)
    return refuse_launch(cudaErrorInvalidConfiguration,
                         "blocks of " + sizes(block) + " threads; a block may have 1024, and 64 in z");
  if (launch.shared > dynamic_shared_limit(launch.kernel.function))
    return refuse_launch(cudaErrorInvalidValue, std::to_string(launch.shared) +
                                                    " bytes of dynamic shared memory; it may have " +
                                                    std::to_string(dynamic_shared_limit(launch.kernel.function)));
  launch.device = device_of(stream);
  const std::string wrong = check_current("stream", launch.device);
  if (!wrong.empty()) return refuse_launch(cudaErrorInvalidResourceHandle, "a wrong stream: " + wrong);
  enqueue(stream, [launch] { run(launch); });
  return cudaSuccess;
}

}  // namespace gradus::emulator
