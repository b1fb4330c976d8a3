#include "emulator/emulator.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sample_kernels.h"

namespace {

using namespace gradus::emulator;
using gradus::cuda::launch;
using Floats = std::vector<float>;

template <class T> struct OnDevice {
  explicit OnDevice(const std::vector<T>& values) : size(values.size()) {
    REQUIRE(cudaMalloc(&data, size * sizeof(T)) == cudaSuccess);
    REQUIRE(cudaMemcpy(data, values.data(), size * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~OnDevice() { cudaFree(data); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  std::vector<T> values() const {
    std::vector<T> result(size);
    REQUIRE(cudaMemcpy(result.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
    return result;
  }
  T* data = nullptr;
  std::size_t size;
};

Floats normal(std::size_t count) {
  static std::mt19937 random(1);
  std::normal_distribution<float> distribution;
  Floats values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

void check_close(const Floats& got, const Floats& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-4));
}

// What the kernel is reported for.
template <class F> std::string defect(F run) {
  try {
    run();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "nothing";
}

// Runs the body in order, in shuffled orders, and lazily.
template <class F> void in_every_order(F body) {
  const Settings before = settings();
  for (unsigned seed : {0u, 1u, 2u, 3u}) {
    settings().shuffle = seed;
    settings().lazy = seed % 2 == 1;
    CAPTURE(seed);
    body();
  }
  settings() = before;
}

}  // namespace

TEST_CASE("kernels compute what they should in every order") {
  in_every_order([] {
    const Floats x = normal(1000 * 4), y = normal(1000 * 4);
    Floats want = y;
    for (std::size_t i = 0; i < x.size(); ++i) want[i] += 2 * x[i];
    OnDevice<float> dx(x), dy(y);
    CHECK(launch(saxpy, {.grid = 3, .block = 128}, 1000, 2.0f, reinterpret_cast<const float4*>(dx.data),
                 reinterpret_cast<float4*>(dy.data)) == cudaSuccess);
    check_close(dy.values(), want);
  });
  in_every_order([] {
    const int m = 37, n = 53, k = 29;
    const Floats a = normal(m * k), b = normal(k * n);
    Floats want(m * n);
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j)
        for (int q = 0; q < k; ++q) want[i * n + j] += a[i * k + q] * b[q * n + j];
    OnDevice<float> da(a), db(b), dc(want);
    CHECK(launch(matmul, {.grid = dim3(4, 3), .block = dim3(16, 16)}, m, n, k, da.data, db.data, dc.data) ==
          cudaSuccess);
    const Floats c = dc.values();
    for (std::size_t i = 0; i < c.size(); ++i) CHECK(std::abs(c[i] - want[i]) < 1e-4f);
  });
  in_every_order([] {
    const int rows = 5, columns = 211;
    const Floats x = normal(rows * columns);
    Floats want(rows * columns);
    for (int r = 0; r < rows; ++r) {
      double sum = 0;
      for (int c = 0; c < columns; ++c) sum += std::exp(x[r * columns + c]);
      for (int c = 0; c < columns; ++c) want[r * columns + c] = static_cast<float>(std::exp(x[r * columns + c]) / sum);
    }
    OnDevice<float> dx(x), dy(x);
    CHECK(launch(softmax, {.grid = rows, .block = 128}, columns, dx.data, dy.data) == cudaSuccess);
    check_close(dy.values(), want);
  });
  in_every_order([] {
    OnDevice<int> ids({2, 0, 2, 2, 1});
    OnDevice<float> gradient(Floats(5 * 70, 1)), table(Floats(3 * 70, 0));
    CHECK(launch(embedding_backward, {.grid = 5, .block = 64}, 70, ids.data, gradient.data, table.data) == cudaSuccess);
    const Floats got = table.values();
    CHECK(got[0] == 1);
    CHECK(got[70] == 1);
    CHECK(got[209] == 3);
  });
}

TEST_CASE("threads that do not meet are reported") {
  OnDevice<float> y(Floats(64, 0));
  auto run = [&](void (*kernel)(float*)) {
    return defect([&] {
      if (launch(kernel, {.block = 64}, y.data) == cudaSuccess) cudaDeviceSynchronize();
    });
  };
  in_every_order([&] {
    CHECK(run(barrier_in_branch) ==
          "barrier_in_branch: block (0, 0, 0) cannot go on: threads 0-39 wait at __syncthreads (sample_kernels.cu:71); "
          "threads 40-63 have left the kernel");
    CHECK(run(shuffle_in_branch) ==
          "shuffle_in_branch: block (0, 0, 0) cannot go on: threads 0-15 wait at __shfl_down_sync for the lanes "
          "0xffffffff (sample_kernels.cu:76); threads 16-63 have left the kernel");
    CHECK(run(different_barriers) ==
          "different_barriers: block (0, 0, 0) cannot go on: threads 0-31 wait at __syncthreads "
          "(sample_kernels.cu:85); threads 32-63 wait at __syncthreads (sample_kernels.cu:87)");
    CHECK(run(shuffle_from_outside_the_mask) ==
          "shuffle_from_outside_the_mask: block (0, 0, 0), thread (15, 0, 0): __shfl_down_sync reads lane 16, which is "
          "not in the mask 0x0000ffff (sample_kernels.cu:80)");
  });
}

TEST_CASE("calls that CUDA refuses are explained") {
  OnDevice<float> y(Floats(64, 0));
  Floats host(65);
  CHECK(launch(barrier_in_branch, {.block = 2048}, y.data) == cudaErrorInvalidConfiguration);
  CHECK(
      cudaGetErrorString(cudaErrorInvalidConfiguration) ==
      std::string("invalid configuration argument: barrier_in_branch is launched with blocks of 2048 x 1 x 1 threads; "
                  "a block may have 1024, and 64 in z"));
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMemcpy(host.data(), y.data, 260, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaGetErrorString(cudaGetLastError()) ==
        std::string("invalid argument: a copy of 260 bytes, device to host: of the source, 260 bytes from byte 0 run "
                    "past the end of 256 bytes"));
  CHECK(cudaMemcpy(host.data(), y.data, 256, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaGetErrorString(cudaGetLastError()) ==
        std::string("invalid argument: a copy of 256 bytes, host to device: the destination is host memory"));
}

TEST_CASE("two devices are kept apart") {
  const auto explained = [](cudaError_t error) {
    CHECK(error != cudaSuccess);
    (void)cudaGetLastError();
    return std::string(cudaGetErrorString(error));
  };
  int count = 0, number = -1;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 2);
  CHECK(explained(cudaSetDevice(2)) == "invalid device ordinal: there are 2 devices, and no 2");
  OnDevice<float> on_0(Floats(64, 3));
  cudaStream_t of_0;
  cudaEvent_t event_of_0;
  cudaStreamCreate(&of_0);
  cudaEventCreate(&event_of_0);
  CHECK(cudaSetDevice(1) == cudaSuccess);
  CHECK(cudaGetDevice(&number) == cudaSuccess);
  CHECK(number == 1);
  OnDevice<float> on_1(Floats(64, 5));
  cudaPointerAttributes attributes;
  CHECK(cudaPointerGetAttributes(&attributes, on_1.data) == cudaSuccess);
  CHECK(attributes.device == 1);
  CHECK(explained(launch(saxpy, {.stream = of_0}, 0, 2.0f, nullptr, nullptr)) ==
        "invalid resource handle: saxpy is launched with a wrong stream: the stream belongs to device 0, and device 1 "
        "is current");
  CHECK(explained(cudaEventRecord(event_of_0, nullptr)) ==
        "invalid resource handle: cudaEventRecord: the event and the stream belong to two devices");
  CHECK(explained(cudaFreeAsync(on_0.data, nullptr)) ==
        "invalid argument: cudaFreeAsync: the memory and the stream belong to two devices");
  CHECK(explained(cudaMemcpy(on_1.data, on_0.data, 256, cudaMemcpyDeviceToDevice)) ==
        "invalid argument: a copy of 256 bytes, device to device: they lie on two devices; use cudaMemcpyPeerAsync");
  CHECK(explained(cudaMemcpyPeer(on_1.data, 0, on_0.data, 1, 256)) ==
        "invalid argument: cudaMemcpyPeer: the destination does not lie on device 0");
  CHECK(cudaMemcpyPeer(on_1.data, 1, on_0.data, 0, 256) == cudaSuccess);
  CHECK(on_1.values() == Floats(64, 3));
  cudaSetDevice(0);
  cudaEventDestroy(event_of_0);
  cudaStreamDestroy(of_0);
}

TEST_CASE("each thread has a stream of its own on each device") {
  const Settings before = settings();
  settings().lazy = true;
  OnDevice<float> x(Floats(1, 1));
  float mine = 0, theirs = 0;
  cudaMemcpyAsync(&mine, x.data, 4, cudaMemcpyDeviceToHost, cudaStreamPerThread);
  std::thread([&] {
    cudaMemcpyAsync(&theirs, x.data, 4, cudaMemcpyDeviceToHost, cudaStreamPerThread);
    cudaStreamSynchronize(cudaStreamPerThread);
  }).join();
  CHECK(theirs == 1);
  CHECK(mine == 0);
  cudaSetDevice(1);
  cudaStreamSynchronize(cudaStreamPerThread);
  CHECK(mine == 0);
  cudaSetDevice(0);
  cudaStreamSynchronize(cudaStreamPerThread);
  CHECK(mine == 1);
  settings() = before;
}

TEST_CASE("lazy streams do their work when somebody waits for it") {
  const Settings before = settings();
  settings().lazy = true;
  cudaStream_t stream;
  cudaStreamCreate(&stream);
  OnDevice<float> y(Floats(64, 7));
  Floats host(64, 0);
  cudaMemcpyAsync(host.data(), y.data, 256, cudaMemcpyDeviceToHost, stream);
  CHECK(host[0] == 0);
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
  cudaStreamSynchronize(stream);
  CHECK(host[0] == 7);
  cudaStreamDestroy(stream);
  settings() = before;
}
