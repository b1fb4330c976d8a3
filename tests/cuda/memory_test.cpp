// What every kernel of the backend asks of memory, as the tracer counts it. docs/cuda_memory.txt is compared with, or
// with GRADUS_UPDATE_DOCS=1 written.

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "core/file.h"
#include "emulator/emulator.h"
#include "emulator/report.h"
#include "gradus.h"
#include "ops/optimizer.h"
#include "tests/op_samples.h"

using namespace gradus;
using namespace gradus::samples;
using emulator::Kind, emulator::Space;

namespace {

// ---- what is run: each operation, and its gradients if it has any

struct Case {
  const char* operation;
  std::vector<Tensor> inputs;
  Function run;
};

std::vector<Case> cases() {
  const Device gpu = Device::cuda();
  const auto x = [](const Shape& shape) { return uniform(shape, -2, 2); };
  const auto index = [](int64_t size, const Shape& shape) { return randint(0, size, shape); };
  const Function times = [](Inputs in) { return in[0] * in[1]; };
  const Function norm = [](Inputs in) { return batch_norm(in[0], {}, {}, in[1], in[2], {.training = true}); };
  const Function convolution = [](Inputs in) { return conv2d(in[0], in[1], {}, {.padding = 1}); };
  const Function attention = [](Inputs in) { return scaled_dot_product_attention(in[0], in[1], in[2]); };
  const Function lstm = [](Inputs in) { return recurrence(Recurrence::lstm, in[0], in[1], in[2], in[3]); };
  const Function gru = [](Inputs in) { return recurrence(Recurrence::gru, in[0], in[1], in[2], in[3]); };
  return {
      {"zeros [16384]", {}, [=](Inputs) { return zeros({16384}, float32, gpu); }},
      {"to float64 [16384]", {x({16384})}, [](Inputs in) { return to(in[0], float64); }},
      {"contiguous, of columns", {x({128, 128})}, [](Inputs in) { return contiguous(t(in[0])); }},
      {"multiply [16384]", {x({16384}), x({16384})}, times},
      {"multiply bfloat16 [16384]", {to(x({16384}), bfloat16), to(x({16384}), bfloat16)}, times},
      {"multiply [128, 128] by a row", {x({128, 128}), x({128})}, times},
      {"Adam [16384]",
       {x({16384}), x({16384}), zeros({16384}), zeros({16384})},
       [](Inputs in) {
         update(cuda::PerLaunch{formula::AdamUpdate{1e-3, 0.9, 0.999, 1e-8, 0, false, false, 0.1, 0.001}},
                in[0].detach(), in[1].detach(), {in[2].detach(), in[3].detach(), Tensor()});
         return in[0].detach();
       }},
      {"dropout [16384]", {x({16384})}, [](Inputs in) { return dropout(in[0]); }},
      {"sum [64, 512] of rows", {x({64, 512})}, [](Inputs in) { return sum(in[0], 1); }},
      {"sum [512, 64] of columns", {x({512, 64})}, [](Inputs in) { return sum(in[0], 0); }},
      {"argmax [64, 500]", {x({64, 500})}, [](Inputs in) { return argmax(in[0]); }},
      {"embedding [65, 128]", {x({65, 128}), index(65, {256})}, [](Inputs in) { return embedding(in[1], in[0]); }},
      {"gather [64, 128] in rows",
       {x({64, 128}), index(128, {64, 128})},
       [](Inputs in) { return gather(in[0], 1, in[1]); }},
      {"gather [64, 128] in columns",
       {x({64, 128}), index(64, {64, 128})},
       [](Inputs in) { return gather(in[0], 0, in[1]); }},
      {"linear [64, 32] to [64, 128]",
       {x({64, 32}), x({128, 32}), x({128})},
       [](Inputs in) { return linear(in[0], in[1], in[2]); }},
      {"conv2d float64 [2, 4, 16, 16]", {to(x({2, 4, 16, 16}), float64), to(x({8, 4, 3, 3}), float64)}, convolution},
      {"max_pool2d [2, 8, 32, 32]", {x({2, 8, 32, 32})}, [](Inputs in) { return max_pool2d(in[0], 2); }},
      {"avg_pool2d [2, 8, 32, 32]", {x({2, 8, 32, 32})}, [](Inputs in) { return avg_pool2d(in[0], 2); }},
      {"softmax [64, 500]", {x({64, 500})}, [](Inputs in) { return softmax(in[0], 1); }},
      {"softmax [8, 4000]", {x({8, 4000})}, [](Inputs in) { return softmax(in[0], 1); }},
      {"cross_entropy [64, 500]",
       {x({64, 500}), index(500, {64})},
       [](Inputs in) { return cross_entropy(in[0], in[1]); }},
      {"layer_norm [64, 256]",
       {x({64, 256}), x({256}), x({256})},
       [](Inputs in) { return layer_norm(in[0], {256}, in[1], in[2]); }},
      {"batch_norm [128, 128]", {x({128, 128}), x({128}), x({128})}, norm},
      {"batch_norm [16, 8, 12, 12]", {x({16, 8, 12, 12}), x({8}), x({8})}, norm},
      {"batch_norm bfloat16 [64, 512]",
       {to(x({64, 512}), bfloat16), to(x({512}), bfloat16), to(x({512}), bfloat16)},
       norm},
      {"rotary [8, 32, 64]", {x({8, 32, 64})}, [](Inputs in) { return rotary(in[0]); }},
      {"lstm [4, 16, 64]", {x({4, 16, 256}), x({2, 16, 64}), x({256, 64}), x({256})}, lstm},
      {"gru [4, 16, 64]", {x({4, 16, 192}), x({1, 16, 64}), x({192, 64}), x({192})}, gru},
      {"attention [2, 64, 64]", {x({2, 64, 64}), x({2, 64, 64}), x({2, 64, 64})}, attention},
  };
}

std::vector<emulator::KernelReport> report_of(const Case& each) {
  std::vector<Tensor> x;
  for (const Tensor& input : each.inputs) x.push_back(input.copied_to(Device::cuda()));
  x = leaves(x);
  emulator::clear_memory_report();
  emulator::settings().report = true;
  const Tensor y = each.run(x);
  if (y.needs_grad()) grad({y}, differentiable(x), {}, {ones(y.shape(), y.dtype()).copied_to(Device::cuda())});
  emulator::settings().report = false;
  return emulator::memory_report();
}

// ---- the table

// Sectors a request of global memory, wavefronts a request of shared memory, and how many times the bytes that are
// needed are moved to and from global memory. 0 where there is no request.
constexpr std::array names{"global load", "global store", "shared load", "shared store", "moved/needed"};
using Figures = std::array<double, names.size()>;
// By the operation and the kernel, in the order of a file.
using Table = std::map<std::pair<std::string, std::string>, Figures>;

double quotient(long a, long b) { return b == 0 ? 0 : double(a) / double(b); }

std::string without_template_arguments(const std::string& kernel) { return kernel.substr(0, kernel.find('<')); }

Table measured() {
  struct Counts {
    std::array<long, 4> requests{}, parts{};
    long needed = 0;
  };
  Table table;
  manual_seed(1);
  for (const Case& each : cases()) {
    std::map<std::string, Counts> counts;
    for (const emulator::KernelReport& kernel : report_of(each))
      for (const emulator::LineReport& line : kernel.lines) {
        Counts& sum = counts[without_template_arguments(kernel.kernel)];
        const size_t which = (line.space == Space::shared ? 2 : 0) + (line.kind == Kind::load ? 0 : 1);
        sum.requests[which] += line.requests;
        sum.parts[which] += line.parts;
        if (line.space == Space::global) sum.needed += line.bytes_needed;
      }
    for (const auto& [kernel, sum] : counts) {
      Figures& figures = table[{each.operation, kernel}];
      for (size_t i = 0; i < 4; ++i) figures[i] = quotient(sum.parts[i], sum.requests[i]);
      figures[4] = quotient(32 * (sum.parts[0] + sum.parts[1]), sum.needed);
    }
  }
  return table;
}

constexpr const char* heading =
    "What the kernels of each operation and of its gradients ask of memory: sectors (of 32 bytes) a request of global\n"
    "memory, of which 32 lanes that access neighbouring floats need 4; wavefronts a request of shared memory, of "
    "which\n"
    "they need 1; and the bytes of all sectors against those that are needed. The tensors are contiguous, and float32\n"
    "unless it says otherwise. Counted by tests/cuda/memory_test.cpp, which GRADUS_UPDATE_DOCS=1 lets write this "
    "anew.\n";
constexpr int operation_width = 31, kernel_width = 24;

std::string to_string(const Table& table) {
  std::ostringstream text;
  text << heading << '\n'
       << std::left << std::setw(operation_width) << "operation" << std::setw(kernel_width) << "kernel";
  for (const char* name : names) text << std::right << std::setw(14) << name;
  text << '\n' << std::fixed << std::setprecision(2);
  for (const auto& [row, figures] : table) {
    text << std::left << std::setw(operation_width) << row.first << std::setw(kernel_width) << row.second;
    for (double figure : figures) text << std::right << std::setw(14) << figure;
    text << '\n';
  }
  return text.str();
}

Table table_in(const std::string& text) {
  Table table;
  std::istringstream lines(text.substr(text.find("\noperation ") + 1));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::string operation = line.substr(0, operation_width), kernel;
    operation.erase(operation.find_last_not_of(' ') + 1);
    std::istringstream rest(line.substr(operation_width));
    rest >> kernel;
    for (double& figure : table[{operation, kernel}]) rest >> figure;
    REQUIRE(rest);
  }
  return table;
}

}  // namespace

TEST_CASE("cuda memory: kernels ask of memory what docs/cuda_memory.txt says") {
  const std::string path = GRADUS_SOURCE "/docs/cuda_memory.txt";
  const Table found = measured();
  const char* update = std::getenv("GRADUS_UPDATE_DOCS");
  if (update && *update == '1') write_file(path, to_string(found));
  const Table expected = table_in(InputFile(path).read_text());
  for (const auto& [row, figures] : found) {
    const std::string name = row.first + ", " + row.second;
    if (!expected.contains(row)) FAIL_CHECK(name, " has no row in docs/cuda_memory.txt; GRADUS_UPDATE_DOCS=1 adds it");
    else
      for (size_t i = 0; i < figures.size(); ++i) {
        const double was = expected.at(row)[i];
        CHECK_MESSAGE(figures[i] <= 1.03 * was, name, ": more ", std::string(names[i]), " than before");
        CHECK_MESSAGE(figures[i] >= 0.97 * was, name, ": less ", std::string(names[i]),
                      " than before; GRADUS_UPDATE_DOCS=1 writes that down");
      }
  }
  for (const auto& [row, figures] : expected) {
    const std::string name = row.first + ", " + row.second;
    CHECK_MESSAGE(found.contains(row), name, " was not run; GRADUS_UPDATE_DOCS=1 removes it");
  }
}

TEST_CASE("cuda memory: no kernel is left out") {
  std::set<std::string> in_table;
  for (const auto& [row, figures] : table_in(InputFile(GRADUS_SOURCE "/docs/cuda_memory.txt").read_text()))
    in_table.insert(row.second);
  const std::regex definition(R"(__global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\()");
  int kernels = 0;
  for (const auto& file : std::filesystem::directory_iterator(GRADUS_SOURCE "/cuda")) {
    if (file.path().extension() != ".cu") continue;
    const std::string text = InputFile(file.path()).read_text();
    for (std::sregex_iterator match(text.begin(), text.end(), definition), end; match != end; ++match, ++kernels)
      CHECK_MESSAGE(in_table.contains((*match)[1]), (*match)[1].str(), " has no row in docs/cuda_memory.txt");
  }
  CHECK(kernels > 30);  // they are found
}
