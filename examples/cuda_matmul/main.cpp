// The product of two matrices on a GPU, from the simplest kernel to Tensor Cores in six steps, each in a file of its
// own beside this one: what a step changes, why that is faster, how large its error is; and on a GPU its time beside
// cuBLAS.

#include "examples/cuda_matmul/matmul.h"
//
#include <cublas_v2.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <random>

#include "examples/gpu.h"

namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(fmt::format("{}: {}", call, cublasGetStatusString(status)));
}

class Cublas {
 public:
  Cublas() { check(cublasCreate(&handle_), "cublasCreate"); }
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;
  ~Cublas() { cublasDestroy(handle_); }

  // cuBLAS counts elements column by column: to it our c is cᵀ = bᵀ·aᵀ.
  void multiply(const Problem& p, bool in_half) const {
    const float one = 1, zero = 0;
    const cudaDataType type = in_half ? CUDA_R_16F : CUDA_R_32F;
    const void* a = in_half ? static_cast<const void*>(p.a_half) : p.a;
    const void* b = in_half ? static_cast<const void*>(p.b_half) : p.b;
    check(
        cublasGemmStridedBatchedEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, p.n, p.m, p.k, &one, b, type, p.n, 0, a, type,
                                   p.k, 0, &zero, p.c, CUDA_R_32F, p.n, 0, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
  }

 private:
  cublasHandle_t handle_;
};

std::vector<float> random_matrix(int rows, int columns, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(size_t(rows) * size_t(columns));
  for (float& value : values) value = uniform(generator);
  return values;
}

std::vector<__half> to_half(const std::vector<float>& values) {
  std::vector<__half> halves;
  for (float value : values) halves.push_back(__float2half(value));
  return halves;
}

// Some rows of the product, in double precision on the CPU: all of them if that does not take long.
struct Reference {
  int n, step;
  std::vector<double> rows;

  Reference(const Problem& size, const std::vector<float>& a, const std::vector<float>& b) : n(size.n) {
    constexpr double most = 1 << 28;                                     // multiply-adds
    step = int(std::ceil(double(size.m) * size.n * size.k / most)) | 1;  // odd: it falls on all places of a tile
    for (int row = 0; row < size.m; row += step) {
      std::vector<double> sums(size_t(n), 0.);
      for (size_t i = 0; i < size_t(size.k); ++i)
        for (size_t column = 0; column < sums.size(); ++column)
          sums[column] += double(a[size_t(row) * size_t(size.k) + i]) * double(b[i * sums.size() + column]);
      rows.insert(rows.end(), sums.begin(), sums.end());
    }
  }

  // NaN if any element is.
  double largest_error(const std::vector<float>& c) const {
    double largest = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t row = i / size_t(n) * size_t(step);
      const double error = std::abs(double(c[row * size_t(n) + i % size_t(n)]) - rows[i]);
      if (!(error <= largest)) largest = error;
      if (std::isnan(largest)) break;
    }
    return largest;
  }
};

// What rounding may do to a sum of k products of numbers in [-1, 1]: it is about √k large, and so are the partial sums,
// which are rounded k times. Factors rounded to 11 bits each change a product by a random part of 2^-11.
double tolerance(int k, bool in_half) {
  return 4 * std::ldexp(k, -24) + (in_half ? 3 * std::ldexp(std::sqrt(k), -11) : 0);
}

// The roofline: computing is limited by the peak, and by how fast the bytes it needs come.
double roofline(double peak, double intensity, double bandwidth) {
  return std::min(peak, intensity * bandwidth * 1e-3);
}

void print_problem(const Problem& size, const Gpu& gpu) {
  const double m = size.m, n = size.n, k = size.k, flop = 2 * m * n * k, bytes = 4 * (m * k + k * n + m * n);
  fmt::print(
      "c = a·b with a {} x {}, b {} x {}: 2·m·n·k = {:.4g} GFLOP. The matrices have {:.4g} MB; if each were moved\n",
      size.m, size.k, size.k, size.n, flop * 1e-9, bytes * 1e-6);
  fmt::print("once only, the arithmetic intensity would be {:.4g} FLOP for each byte.\n\n", flop / bytes);
  print_memory_of(gpu);
  fmt::print(
      "It computes {:.1f} TFLOP/s in float32, {:.0f} with Tensor Cores in half precision. Roofline: with fewer than\n"
      "{:.1f} FLOP for each byte of global memory ({:.0f} with Tensor Cores) it waits for memory, not for arithmetic.\n"
      "The limits below count every request: where a cache answers, a kernel may be faster than the first of them.\n",
      gpu.peak(), gpu.tensor_peak, gpu.peak() / gpu.bandwidth * 1e3, gpu.tensor_peak / gpu.bandwidth * 1e3);
}

void print_explanation(const Step& step, const Gpu& gpu) {
  fmt::print("\n{}\n{}\n", step.name, step.explanation);
  const double peak = step.uses_tensor_cores ? gpu.tensor_peak : gpu.peak();
  const auto print_limit = [&](const char* memory, double intensity, double bandwidth) {
    const double limit = roofline(peak, intensity, bandwidth);
    fmt::print("  {}: {:5.2f} FLOP/byte x {:5.0f} GB/s: at most {:6.2f} TFLOP/s, {:5.1f} % of the peak\n", memory,
               intensity, bandwidth, limit, 100 * limit / peak);
  };
  print_limit("global memory", step.global_intensity, gpu.bandwidth);
  if (step.shared_intensity > 0) print_limit("shared memory", step.shared_intensity, gpu.shared_bandwidth());
}

// Runs the steps and cuBLAS and prints a line for each; whether all errors are small enough.
bool run_ladder(const std::vector<const Step*>& steps, Problem size, bool emulated) {
  const std::vector<float> a = random_matrix(size.m, size.k, 1), b = random_matrix(size.k, size.n, 2);
  const Reference reference(size, a, b);
  const DeviceArray<float> device_a(a), device_b(b);
  const DeviceArray<__half> a_half(to_half(a)), b_half(to_half(b));
  DeviceArray<float> device_c(size_t(size.m) * size_t(size.n));
  const Problem problem{size.m,          size.n,        size.k,        device_a.data(),
                        device_b.data(), a_half.data(), b_half.data(), device_c.data()};
  const double flop = 2. * size.m * size.n * size.k;
  bool all_good = true;
  const auto measure = [&](const char* name, bool in_half, double time_of_cublas, const auto& run) {
    device_c.fill_with_nan();
    run();
    const double error = reference.largest_error(device_c.to_host()), allowed = tolerance(size.k, in_half);
    const bool good = error <= allowed;
    all_good = all_good && good;
    fmt::print("{:<18} {:10.2e} {:10.2e}", name, error, allowed);
    double time = 0;
    if (!emulated) {
      time = milliseconds(run);
      fmt::print(" {:10.4f} {:9.2f} {:10.0f} %", time, flop / time * 1e-9,
                 100 * (time_of_cublas > 0 ? time_of_cublas / time : 1));
    }
    fmt::print("{}\n", good ? "" : "   WRONG: the error is larger than rounding explains");
    return time;
  };

  fmt::print("\n{:<18} {:>10} {:>10}{}\n", "", "error", "allowed", emulated ? "" : "         ms   TFLOP/s   of cuBLAS");
  const Cublas cublas;
  const double in_float = measure("cuBLAS, float32", false, 0, [&] { cublas.multiply(problem, false); });
  double in_half = 0;
  if (!emulated) in_half = measure("cuBLAS, half", true, 0, [&] { cublas.multiply(problem, true); });
  for (const Step* step : steps) {
    if (!step->run) {
      fmt::print("{:<18} not run: the emulator has no Tensor Cores\n", step->name);
      continue;
    }
    measure(step->name, step->uses_tensor_cores, step->uses_tensor_cores ? in_half : in_float,
            [&] { check(step->run(problem), step->name); });
  }
  if (reference.step > 1) fmt::print("Errors are those of one row in {}.\n", reference.step);
  return all_good;
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<int> size;
  std::string gpu_name;
  int only = 0;
  CLI::App app{"The product of two matrices on a GPU, in six steps from the simplest kernel to Tensor Cores"};
  app.add_option("--size", size,
                 "of the matrices: N, or M N K for a [M, K] and b [K, N]; if not given 4096, or 130 on the emulator")
      ->expected(1, 3)
      ->check(CLI::Range(1, 16384));
  app.add_option("--step", only, "run this step only, 1 to 6")->check(CLI::Range(1, 6));
  app.add_option("--gpu", gpu_name, "whose roofline to print; if not given that of the GPU in use, or of an A100")
      ->check(CLI::IsMember(gpu_names()));
  CLI11_PARSE(app, argc, argv);
  if (size.size() == 2) throw std::runtime_error("--size takes one number, N, or three, M N K; not two");

  const std::string device = device_name();
  const bool emulated = device.starts_with("Emulated");
  if (size.empty()) size = {emulated ? 130 : 4096};
  Problem problem{};
  problem.m = size.front(), problem.n = size[size.size() / 2], problem.k = size.back();
  const Gpu& gpu = find_gpu(gpu_name.empty() ? device : gpu_name);
  std::vector<const Step*> steps{&naive, &coalesced, &shared_tile, &register_tile, &vectorized, &tensor_cores};
  if (only) steps = {steps[size_t(only - 1)]};

  print_problem(problem, gpu);
  for (const Step* step : steps) print_explanation(*step, gpu);
  const bool all_good = run_ladder(steps, problem, emulated);
  if (emulated) print_about_emulator("cuda_matmul");
  else fmt::print("Run on: {}\n", device);
  return all_good ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
