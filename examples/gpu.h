#pragma once
// What the programs in cuda_*/ share: errors, memory of the GPU, times, and the figures of some GPUs for their
// rooflines.

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

inline void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) throw std::runtime_error(fmt::format("{}: {}", call, cudaGetErrorString(error)));
}

/// The name of the first GPU; fails if there is none.
inline std::string device_name() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    throw std::runtime_error(fmt::format("there is no GPU to run on: {}", cudaGetErrorString(error)));
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return properties.name;
}

/// An array in the GPU's memory.
template <class T> class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T)), "cudaMalloc");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    check(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  /// Waits for the kernels that write the array.
  std::vector<T> to_host() const {
    std::vector<T> values(size_);
    check(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return values;
  }
  /// All bytes 0xff, which is NaN: what a kernel forgets to write is found.
  void fill_with_nan() { check(cudaMemset(data_, 0xff, size_ * sizeof(T)), "cudaMemset"); }

 private:
  T* data_ = nullptr;
  size_t size_;
};

/// How long `run`, which queues work on the GPU, takes: the mean of as many runs as fit into 200 ms. Events are
/// recorded by the GPU itself when it gets to them, so the time that the CPU takes to queue the work does not count.
template <class Run> double milliseconds(const Run& run) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  const auto measure = [&](int runs) {
    check(cudaEventRecord(begin), "cudaEventRecord");
    for (int i = 0; i < runs; ++i) run();
    check(cudaEventRecord(end), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float time = 0;
    check(cudaEventElapsedTime(&time, begin, end), "cudaEventElapsedTime");
    return double(time) / runs;
  };
  measure(1);  // the first run also loads the kernel
  const double once = measure(1), mean = measure(std::clamp(int(200 / std::max(once, 1e-3)), 1, 1000));
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return mean;
}

/// The figures of a GPU as its maker states them, by which rooflines are drawn.
struct Gpu {
  const char* name;
  int multiprocessors, float_lanes;          // lanes for float32 of each multiprocessor
  double clock;                              // GHz, at most
  int shared_per_clock, shared_kib, l2_mib;  // bytes that a multiprocessor's shared memory delivers; sizes
  double bandwidth, tensor_peak;             // GB/s of global memory; TFLOP/s for half precision, summed in float32

  double peak() const { return 2e-3 * multiprocessors * float_lanes * clock; }  // TFLOP/s: a multiply-add counts as two
  double shared_bandwidth() const { return double(multiprocessors) * shared_per_clock * clock; }  // GB/s
};
constexpr std::array gpus{
    Gpu{"A100", 108, 64, 1.41, 128, 164, 40, 1555, 312}, Gpu{"H100", 132, 128, 1.98, 128, 228, 50, 3350, 989},
    Gpu{"RTX 3090", 82, 128, 1.695, 128, 100, 6, 936, 71}, Gpu{"RTX 4090", 128, 128, 2.52, 128, 100, 72, 1008, 165},
    Gpu{"T4", 40, 64, 1.59, 64, 64, 4, 320, 65}};

inline std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (const Gpu& gpu : gpus) names.push_back(gpu.name);
  return names;
}
/// The GPU whose name is part of the given one; if there is none, the first.
inline const Gpu& find_gpu(std::string_view name) {
  const auto found = std::find_if(gpus.begin(), gpus.end(),
                                  [&](const Gpu& gpu) { return name.find(gpu.name) != std::string_view::npos; });
  return found == gpus.end() ? gpus.front() : *found;
}

inline void print_memory_of(const Gpu& gpu) {
  fmt::print("Memory of the {}, from near to far; speeds are those of all {} multiprocessors together:\n", gpu.name,
             gpu.multiprocessors);
  fmt::print("  registers      256 KiB a multiprocessor, up to 255 of 4 bytes for each thread: no waiting\n");
  fmt::print("  shared memory  {} KiB a multiprocessor, for the threads of a block: {:.0f} GB/s\n", gpu.shared_kib,
             gpu.shared_bandwidth());
  fmt::print("  L2 cache       {} MiB for all\n", gpu.l2_mib);
  fmt::print("  global memory  for all, moved in sectors of 32 bytes: {:.0f} GB/s\n", gpu.bandwidth);
}

/// `target` is the program's name in the build.
inline void print_about_emulator(const char* target) {
  fmt::print(
      "\nThe kernels ran on an emulated GPU: there are no times, for they would say nothing about a real one. What "
      "each line\n"
      "of them asks of memory, in sectors and bank conflicts, is reported by\n"
      "  cmake --preset emulated-traced && cmake --build --preset emulated-traced --target {0}\n"
      "  GRADUS_CUDA_REPORT=1 build/emulated-traced/examples/{0} --size 256\n",
      target);
  std::fflush(stdout);  // the report comes afterwards
}
