// What the tracer finds and counts in kernels of which it is known.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "emulator/emulator.h"
#include "emulator/occupancy.h"
#include "emulator/report.h"
#include "tests/files.h"
#include "trace_kernels.h"

namespace {

using namespace gradus::emulator;
using gradus::cuda::launch;

// Zeros, or memory that nobody has written.
template <class T> struct Array {
  explicit Array(std::size_t size, bool is_written = true) {
    REQUIRE(cudaMalloc(&data, size * sizeof(T)) == cudaSuccess);
    if (is_written) REQUIRE(cudaMemset(data, 0, size * sizeof(T)) == cudaSuccess);
  }
  ~Array() { cudaFree(data); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data = nullptr;
};

// What is counted while `run` runs one kernel.
template <class F> KernelReport report_of(F run) {
  clear_memory_report();
  settings().report = true;
  run();
  settings().report = false;
  const auto report = memory_report();
  REQUIRE(report.size() == 1);
  return report[0];
}

// The line that accesses memory so; there is one.
LineReport line_of(const KernelReport& report, Space space, Kind kind, int which = 0) {
  std::vector<LineReport> found;
  for (const LineReport& line : report.lines)
    if (line.space == space && line.kind == kind) found.push_back(line);
  REQUIRE(std::ssize(found) > which);
  return found[static_cast<std::size_t>(which)];
}

LineReport load(const KernelReport& report, int which = 0) { return line_of(report, Space::global, Kind::load, which); }
LineReport store(const KernelReport& report) { return line_of(report, Space::global, Kind::store); }
LineReport shared_load(const KernelReport& report, int which = 0) {
  return line_of(report, Space::shared, Kind::load, which);
}
LineReport shared_store(const KernelReport& report, int which = 0) {
  return line_of(report, Space::shared, Kind::store, which);
}

// What a launch is reported for.
template <class... Parameters, class... Arguments>
std::string defect(void (*kernel)(Parameters...), dim3 grid, dim3 block, Arguments... arguments) {
  try {
    if (launch(kernel, {.grid = grid, .block = block}, arguments...) == cudaSuccess) cudaDeviceSynchronize();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "nothing";
}

// The broken kernel is reported in every order that threads may run in, and in the plain one with these words.
template <class Kernel, class... Arguments>
void check_defect(Kernel right, Kernel broken, const std::string& what, dim3 grid, dim3 block, Arguments... arguments) {
  const Settings before = settings();
  for (unsigned seed : {0u, 1u, 2u, 3u}) {
    CAPTURE(seed);
    settings().shuffle = seed;
    CHECK(defect(right, grid, block, arguments...) == "nothing");
    const std::string found = defect(broken, grid, block, arguments...);
    if (seed == 0) CHECK(found == what);
    else CHECK(found != "nothing");
  }
  settings() = before;
}

}  // namespace

TEST_CASE("copies move as many sectors as their pattern needs") {
  Array<float> x(64 * 1024), y(64 * 1024);
  const KernelReport plain =
      report_of([&] { (void)launch(copy_strided, {.grid = 2, .block = 128}, 1, x.data, y.data); });
  CHECK(plain.kernel == "copy_strided");
  CHECK(plain.launches == 1);
  CHECK(load(plain).line == "trace_kernels.cu:7");
  CHECK(load(plain).requests == 8);
  CHECK(load(plain).parts_per_request() == 4);
  CHECK(load(plain).bytes_needed == 1024);
  CHECK(store(plain).line == "trace_kernels.cu:8");
  CHECK(store(plain).parts_per_request() == 4);
  CHECK(store(plain).active_lanes() == 1);
  const KernelReport strided = report_of([&] {
    (void)launch(copy_strided, {.grid = 2, .block = 128}, 32, x.data, y.data);
    (void)launch(copy_strided, {.grid = 2, .block = 128}, 32, x.data, y.data);
  });
  CHECK(strided.launches == 2);
  CHECK(load(strided).requests == 16);
  CHECK(load(strided).parts_per_request() == 32);
  CHECK(load(strided).needed_per_request() == 4);
  CHECK(store(strided).parts_per_request() == 32);
  const KernelReport packed = report_of([&] {
    (void)launch(copy_float4, {.grid = 2, .block = 128}, reinterpret_cast<float4*>(x.data),
                 reinterpret_cast<float4*>(y.data));
  });
  CHECK(load(packed).parts_per_request() == 16);
  CHECK(load(packed).needed_per_request() == 16);
  CHECK(store(packed).parts_per_request() == 16);
  CHECK(store(packed).requests == 8);
  const KernelReport bytes = report_of([&] {
    (void)launch(copy_bytes, {.grid = 2, .block = 128}, reinterpret_cast<char*>(x.data),
                 reinterpret_cast<char*>(y.data));
  });
  CHECK(load(bytes).parts_per_request() == 1);
  CHECK(store(bytes).bytes_needed == 256);
}

TEST_CASE("lanes that are idle are counted") {
  Array<float> x(7 * 48), y(7);
  const KernelReport report = report_of([&] { (void)launch(sum_rows, {.grid = 1, .block = 64}, 7, x.data, y.data); });
  CHECK(load(report).requests == 14);
  CHECK(load(report).active_lanes() == 0.75);
  CHECK(load(report).parts_per_request() == 3);
  CHECK(store(report).requests == 7);
  CHECK(store(report).active_lanes() == 1.0 / 32);
  CHECK(store(report).parts_per_request() == 1);
}

TEST_CASE("transposition is bound by sectors, by bank conflicts, or by neither") {
  Array<float> x(64 * 64), y(64 * 64);
  const auto run = [&](auto kernel) {
    return report_of([&] { (void)launch(kernel, {.grid = dim3(2, 2), .block = dim3(32, 32)}, 64, x.data, y.data); });
  };
  const KernelReport naive = run(transpose_naive);
  CHECK(load(naive).parts_per_request() == 4);
  CHECK(store(naive).parts_per_request() == 32);
  CHECK(store(naive).requests == 128);
  const KernelReport padded = run(transpose<1>), conflicts = run(transpose<0>);
  CHECK(conflicts.kernel == "transpose<0>");
  CHECK(shared_load(conflicts).parts_per_request() == 32);
  CHECK(shared_load(conflicts).needed_per_request() == 1);
  CHECK(shared_store(conflicts).parts_per_request() == 1);
  CHECK(shared_load(padded).parts_per_request() == 1);
  CHECK(shared_store(padded).parts_per_request() == 1);
  for (const KernelReport& report : {conflicts, padded}) {
    CHECK(load(report).parts_per_request() == 4);
    CHECK(store(report).parts_per_request() == 4);
  }
}

TEST_CASE("a tiled product reads each tile once from global memory and without conflicts from shared memory") {
  constexpr int n = 64;
  Array<float> a(n * n), b(n * n), c(n * n);
  const auto run = [&](auto kernel, unsigned tile) {
    return report_of([&] {
      (void)launch(kernel, {.grid = dim3(n / tile, n / tile), .block = dim3(tile, tile)}, n, a.data, b.data, c.data);
    });
  };
  const KernelReport small = run(multiply<16>, 16), large = run(multiply<32>, 32);
  CHECK(small.kernel == "multiply<16>");
  // Each of the two matrices is loaded n / tile times.
  for (int which : {0, 1}) {
    CHECK(load(small, which).bytes_needed == n * n * 4 * (n / 16));
    CHECK(load(large, which).bytes_needed == n * n * 4 * (n / 32));
    CHECK(load(small, which).parts_per_request() == 4);
    CHECK(load(large, which).parts_per_request() == 4);
    CHECK(shared_load(small, which).parts_per_request() == 1);
    CHECK(shared_load(large, which).parts_per_request() == 1);
    CHECK(shared_load(small, which).requests == n * n / 32 * n);
    CHECK(shared_store(small, which).parts_per_request() == 1);
  }
  CHECK(shared_load(small, 0).bytes_needed == shared_load(small, 0).requests * 2 * 4);  // two rows in a warp
  CHECK(shared_load(large, 0).bytes_needed == shared_load(large, 0).requests * 4);
  CHECK(store(large).parts_per_request() == 4);
}

TEST_CASE("atomics are one request each") {
  Array<int> x(256), counts(4);
  const KernelReport report =
      report_of([&] { (void)launch(histogram, {.grid = 4, .block = 64, .shared = 16}, x.data, counts.data); });
  const LineReport shared = line_of(report, Space::shared, Kind::atomic);
  CHECK(shared.line == "trace_kernels.cu:72");
  CHECK(shared.requests == 8);
  CHECK(shared.active_lanes() == 1);
  const LineReport global = line_of(report, Space::global, Kind::atomic);
  CHECK(global.requests == 4);
  CHECK(global.lanes == 16);
  CHECK(to_string({report}).find("trace_kernels.cu:72                      shared atomic") != std::string::npos);
}

TEST_CASE("occupancy is what NVIDIA's calculator says") {
  CHECK(occupancy("A100", {64}, 256) == "50 % on A100 (4 blocks of 256 threads; limited by 64 registers a thread)");
  CHECK(occupancy("A100", {40}, 1024) == "50 % on A100 (1 block of 1024 threads; limited by 40 registers a thread)");
  CHECK(occupancy("A100", {32}, 256) ==
        "100 % on A100 (8 blocks of 256 threads; limited by threads, 32 registers a thread)");
  CHECK(occupancy("A100", {255}, 1024) == "0 % on A100 (0 blocks of 1024 threads; limited by 255 registers a thread)");
  CHECK(occupancy("T4", {64}, 256) ==
        "100 % on T4 (4 blocks of 256 threads; limited by threads, 64 registers a thread)");
  CHECK(occupancy("RTX4090", {32}, 1024) == "67 % on RTX4090 (1 block of 1024 threads; limited by threads)");
  CHECK(occupancy("RTX4090", {32}, 32) == "50 % on RTX4090 (24 blocks of 32 threads; limited by blocks)");
  // From compute capability 8.0 on, a block takes 1 KiB more than it asks for.
  CHECK(occupancy("T4", {32, 16 << 10}, 128) ==
        "50 % on T4 (4 blocks of 128 threads; limited by 16384 bytes of shared memory a block)");
  CHECK(occupancy("A100", {32, 1 << 10}, 128, 40 << 10) ==
        "19 % on A100 (3 blocks of 128 threads; limited by 41984 bytes of shared memory a block)");
  CHECK(occupancy("H100", {32}, 128, 100 << 10) ==
        "12 % on H100 (2 blocks of 128 threads; limited by 102400 bytes of shared memory a block)");
  CHECK(occupancy("K80", {32}, 128) == "unknown on K80; known are T4, A100, RTX4090, H100 and B200");
}

TEST_CASE("the report has the occupancy of a GPU if it is asked for") {
  const gradus::files::TemporaryFolder folder;
  const Settings before = settings();
  Array<int> x(256), counts(4);
  const auto run = [&](unsigned shared) {
    return report_of(
        [&] { (void)launch(histogram, {.grid = 1, .block = 256, .shared = shared}, x.data, counts.data); });
  };
  CHECK(run(16).occupancy == "");
  settings().gpu = "A100";
  settings().registers = folder.write("registers", "8 0 copy_one\n64 256 histogram\n9 0 transpose<0>\n");
  const KernelReport report = run(40 << 10);
  CHECK(report.occupancy == "38 % on A100 (3 blocks of 256 threads; limited by 41216 bytes of shared memory a block)");
  CHECK(to_string({report}).find("histogram: 1 launch\n  occupancy 38 % on A100 (3 blocks") != std::string::npos);
  settings().registers = "nowhere";
  CHECK(run(16).occupancy == "unknown: the file 'nowhere' does not have the kernel");
  settings() = before;
}

TEST_CASE("races in a block are found") {
  Array<float> x(65);
  check_defect(repeat_half<true>, repeat_half<false>,
               "repeat_half<false>: block (0, 0, 0), thread (63, 0, 0): reads shared memory (trace_kernels.cu:85) that "
               "thread (31, 0, 0) writes (trace_kernels.cu:82): no barrier lies between",
               1, 64, x.data);
  check_defect(rotate_block<true>, rotate_block<false>,
               "rotate_block<false>: block (0, 0, 0), thread (0, 0, 0): writes shared memory (trace_kernels.cu:94) "
               "that thread (63, 0, 0) reads (trace_kernels.cu:92): no barrier lies between",
               1, 64, x.data);
  check_defect(spread_warp<true>, spread_warp<false>,
               "spread_warp<false>: block (0, 0, 0), thread (31, 0, 0): reads shared memory (trace_kernels.cu:103) "
               "that thread (15, 0, 0) writes (trace_kernels.cu:101): no __syncwarp lies between",
               1, 64, x.data);
  check_defect(shift_global<true>, shift_global<false>,
               "shift_global<false>: block (0, 0, 0), thread (1, 0, 0): writes byte 4 of 260 bytes of device memory "
               "(trace_kernels.cu:109) that thread (0, 0, 0) reads (trace_kernels.cu:107): no __syncwarp lies between",
               1, 64, x.data);
}

TEST_CASE("races between blocks are found") {
  Array<int> counter(1);
  check_defect(count<true>, count<false>,
               "count<false>: block (1, 0, 0), thread (0, 0, 0): reads byte 0 of 4 bytes of device memory "
               "(trace_kernels.cu:114) that thread (0, 0, 0) of block (0, 0, 0) writes (trace_kernels.cu:114): blocks "
               "have no order",
               4, 1, counter.data);
  CHECK(defect(count<false>, 1, 1, counter.data) == "nothing");
  Array<short> x(64), y(64);
  check_defect(shift_halves<true>, shift_halves<false>,
               "shift_halves<false>: block (0, 0, 0), thread (1, 0, 0): writes byte 0 of 128 bytes of device memory "
               "(trace_kernels.cu:118) that thread (0, 0, 0) writes (trace_kernels.cu:118): no __syncwarp lies between",
               2, 32, x.data, y.data);
}

TEST_CASE("reads of what nobody has written are found") {
  Array<float> x(64), y(1, false), z(1, false);
  check_defect(sum_block<true>, sum_block<false>,
               "sum_block<false>: block (0, 0, 0), thread (0, 0, 0): reads shared memory (trace_kernels.cu:130) that "
               "no thread of the block has written so far",
               1, 64, x.data);
  const std::string what =
      "copy_one: block (0, 0, 0), thread (0, 0, 0): reads byte 0 of 4 bytes of device memory (trace_kernels.cu:146), "
      "which nobody has written";
  CHECK(defect(copy_one, 1, 1, y.data, x.data) == what);
  cudaMemcpy(z.data, y.data, 4, cudaMemcpyDeviceToDevice);
  CHECK(defect(copy_one, 1, 1, z.data, x.data) == what);
  CHECK(defect(copy_one, 1, 1, x.data, z.data) == "nothing");
  CHECK(defect(copy_one, 1, 1, z.data, x.data) == "nothing");
  const float one = 1;
  cudaMemcpy(y.data, &one, 4, cudaMemcpyHostToDevice);
  CHECK(defect(copy_one, 1, 1, y.data, x.data) == "nothing");
}

TEST_CASE("accesses out of bounds are found") {
  Array<float> x(64), y(64);
  check_defect(difference<true>, difference<false>,
               "difference<false>: block (1, 0, 0), thread (31, 0, 0): reads 4 bytes (trace_kernels.cu:138) out of "
               "bounds, from byte 256 of 256 bytes of device memory",
               2, 32, 64, x.data, y.data);
  check_defect(copy_pairs<true>, copy_pairs<false>,
               "copy_pairs<false>: block (0, 0, 0), thread (1, 0, 0): reads 8 bytes (trace_kernels.cu:143) at an "
               "address that is no multiple of 8",
               1, 32, x.data, reinterpret_cast<float2*>(y.data));
  CHECK(defect(copy_one, 1, 1, x.data - 1, y.data) ==
        "copy_one: block (0, 0, 0), thread (0, 0, 0): reads 4 bytes (trace_kernels.cu:146) out of bounds, from byte -4 "
        "of 256 bytes of device memory");
  const float on_host = 1;
  CHECK(defect(copy_one, 1, 1, &on_host, y.data) ==
        "copy_one: block (0, 0, 0), thread (0, 0, 0): reads 4 bytes (trace_kernels.cu:146) out of bounds, from an "
        "address that is not in device memory");
  cudaSetDevice(1);
  CHECK(defect(copy_one, 1, 1, x.data, y.data) ==
        "copy_one: block (0, 0, 0), thread (0, 0, 0): runs on device 1 and reads byte 0 of 256 bytes of device memory "
        "(trace_kernels.cu:146), which lies on device 0");
  cudaSetDevice(0);
  float* freed = Array<float>(64).data;
  CHECK(defect(copy_one, 1, 1, freed, y.data).find("reads 4 bytes (trace_kernels.cu:146) out of bounds") !=
        std::string::npos);
}
