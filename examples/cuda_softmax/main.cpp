// Softmax of the rows of a matrix on a GPU, in five steps, each in a file of its own beside this one: a kernel that
// does little arithmetic and is as fast as its memory accesses. What a step changes, why that is faster, how large its
// error is; and on a GPU its time beside that of copying the matrix.

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>

#include "examples/cuda_softmax/softmax.h"
#include "examples/gpu.h"

namespace {

// Rows of small numbers, of large and of very negative ones, whose exponentials would overflow or vanish; one in 50
// elements is masked.
std::vector<float> make_rows(int rows, int columns) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-5, 5);
  std::vector<float> values;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) {
      const bool masked = (column + row) % 50 == 1 && columns > 1;
      const float value = uniform(generator) + 200 * float(row % 3 - 1);
      values.push_back(masked ? -std::numeric_limits<float>::infinity() : value);
    }
  return values;
}

// In double precision on the CPU.
std::vector<double> make_reference(const std::vector<float>& x, size_t columns) {
  std::vector<double> y;
  for (size_t begin = 0; begin < x.size(); begin += columns) {
    const double largest = *std::max_element(&x[begin], &x[begin] + columns);
    double sum = 0;
    for (size_t i = begin; i < begin + columns; ++i) {
      y.push_back(std::exp(double(x[i]) - largest));
      sum += y.back();
    }
    for (size_t i = begin; i < begin + columns; ++i) y[i] /= sum;
  }
  return y;
}

// In proportion to each element; NaN if any element is.
double largest_error(const std::vector<float>& y, const std::vector<double>& reference) {
  double largest = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double error = std::abs(double(y[i]) - reference[i]) / std::max(reference[i], 1e-30);
    if (!(error <= largest)) largest = error;
    if (std::isnan(largest)) break;
  }
  return largest;
}

// x − largest is rounded, the exponential amplifies that; and a sum of n numbers is rounded n times, either way.
double tolerance(int columns) { return std::ldexp(64 + 4 * std::sqrt(columns), -24); }

void print_problem(const Problem& size, const Gpu& gpu) {
  const double elements = double(size.rows) * size.columns;
  fmt::print(
      "Softmax of {} rows of {} floats, {:.4g} MB. Each is read and written once at least: 8 bytes, for about 5 FLOP\n"
      "and an exponential. So the arithmetic intensity is below 1 FLOP for each byte: only memory counts.\n\n",
      size.rows, size.columns, elements * float_bytes * 1e-6);
  print_memory_of(gpu);
  fmt::print(
      "It computes {:.1f} TFLOP/s, and so it waits for memory below {:.1f} FLOP for each byte of global memory.\n",
      gpu.peak(), gpu.peak() / gpu.bandwidth * 1e3);
}

void print_explanation(const Step& step, const Problem& size, const Gpu& gpu) {
  fmt::print("\n{}\n{}\n", step.name, step.explanation);
  const double microseconds = step.bytes * size.rows * size.columns / gpu.bandwidth * 1e-3;
  fmt::print("  {:.0f} bytes for each element, if no cache helps: at least {:.3g} us at {:.0f} GB/s\n", step.bytes,
             microseconds, gpu.bandwidth);
}

// Runs the steps and prints a line for each; whether all errors are small enough.
bool run_steps(const std::vector<const Step*>& steps, const Problem& size, bool emulated) {
  const std::vector<float> x = make_rows(size.rows, size.columns);
  const std::vector<double> reference = make_reference(x, size_t(size.columns));
  const DeviceArray<float> device_x(x);
  DeviceArray<float> device_y(x.size());
  const Problem problem{size.rows, size.columns, device_x.data(), device_y.data()};
  const double allowed = tolerance(size.columns), least_bytes = 2 * float_bytes * double(x.size());
  double time_of_copy = 0;
  bool all_good = true;
  const auto print_time = [&](double time) {
    fmt::print(" {:10.4f} {:9.1f} {:9.0f} %\n", time, least_bytes / time * 1e-6, 100 * time_of_copy / time);
  };

  fmt::print("\n{:<18} {:>10} {:>10}{}\n", "", "error", "allowed", emulated ? "" : "         ms      GB/s   of a copy");
  if (!emulated) {
    time_of_copy = milliseconds([&] {
      check(cudaMemcpyAsync(problem.y, problem.x, x.size() * sizeof(float), cudaMemcpyDeviceToDevice), "cudaMemcpy");
    });
    fmt::print("{:<18} {:>10} {:>10}", "copy", "", "");
    print_time(time_of_copy);
  }
  for (const Step* step : steps) {
    if (step->most_columns && size.columns > step->most_columns) {
      fmt::print("{:<18} not run: a row does not fit into shared memory\n", step->name);
      continue;
    }
    const auto run = [&] { check(step->run(problem), step->name); };
    device_y.fill_with_nan();
    run();
    const double error = largest_error(device_y.to_host(), reference);
    const bool good = error <= allowed;
    all_good = all_good && good;
    fmt::print("{:<18} {:10.2e} {:10.2e}{}", step->name, error, allowed,
               good ? "" : "   WRONG: more than rounding explains");
    if (emulated) fmt::print("\n");
    else print_time(milliseconds(run));
  }
  return all_good;
}

}  // namespace

int main(int argc, char** argv) try {
  Problem problem{};
  std::string gpu_name;
  int only = 0;
  CLI::App app{"Softmax of the rows of a matrix on a GPU, in five steps"};
  app.add_option("--rows", problem.rows, "of the matrix; if not given 8192, or 33 on the emulator")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--size", problem.columns, "elements of a row; if not given 4096, or 130 on the emulator")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--step", only, "run this step only, 1 to 5")->check(CLI::Range(1, 5));
  app.add_option("--gpu", gpu_name, "whose figures to use; if not given those of the GPU in use, or of an A100")
      ->check(CLI::IsMember(gpu_names()));
  CLI11_PARSE(app, argc, argv);

  const std::string device = device_name();
  const bool emulated = device.starts_with("Emulated");
  if (problem.rows == 0) problem.rows = emulated ? 33 : 8192;
  if (problem.columns == 0) problem.columns = emulated ? 130 : 4096;
  if (int64_t(problem.rows) * problem.columns > 1 << 28)
    throw std::runtime_error(fmt::format("{} rows of {} are more than 2^28 elements, more than this program takes",
                                         problem.rows, problem.columns));
  const Gpu& gpu = find_gpu(gpu_name.empty() ? device : gpu_name);
  std::vector<const Step*> steps{&three_pass, &warp_shuffle, &block_shuffle, &online, &one_read};
  if (only) steps = {steps[size_t(only - 1)]};

  print_problem(problem, gpu);
  for (const Step* step : steps) print_explanation(*step, problem, gpu);
  const bool all_good = run_steps(steps, problem, emulated);
  if (emulated) print_about_emulator("cuda_softmax");
  else fmt::print("Run on: {}\n", device);
  return all_good ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
