// Which convolutions, linear steps, attentions and batch norms cuDNN has engines for, on GPUs that need not be there:
// the very plans that the backend makes are built from the properties of a device. docs/cudnn_support.txt is compared
// with, or with GRADUS_UPDATE_DOCS=1 written. Nothing is run. The emulated cuDNN must refuse the same wrong graphs as
// NVIDIA's.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <sstream>

#include "core/file.h"
#include "cuda/cudnn.h"

using namespace gradus;
using namespace gradus::cuda;
using kernel::ConvGeometry;

namespace {

// From the compute capabilities of NVIDIA's programming guide and from data sheets; clocks are in kHz.
struct Gpu {
  const char* name;
  int capability, processors, shared_memory, threads, blocks;
  int64_t memory;
  int clock, cache, memory_clock;
};
constexpr Gpu gpus[] = {
    {"T4", 750, 40, 65536, 1024, 16, 15835660288, 1590000, 4194304, 5001000},
    {"A100", 800, 108, 166912, 2048, 32, 85100068864, 1410000, 41943040, 1593000},
    {"RTX 4090", 890, 128, 101376, 1536, 24, 25393692672, 2520000, 75497472, 10501000},
    {"H100", 900, 132, 232448, 2048, 32, 84942979072, 1980000, 52428800, 2619000},
    {"B200", 1000, 148, 232448, 2048, 32, 191514411008, 1965000, 132644864, 3996000},
};

Descriptor properties(const Gpu& gpu) {
  std::ostringstream json;
  json << R"({"deviceVer":)" << gpu.capability << R"(,"multiProcessorCount":)" << gpu.processors
       << R"(,"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":)" << gpu.shared_memory
       << R"(,"reservedSharedMemoryPerBlock":)" << (gpu.capability < 800 ? 0 : 1024)
       << R"(,"maxRegistersPerSM":65536,"maxCtasPerSM":)" << gpu.blocks
       << R"(,"maxThreadsPerBlock":1024,"maxThreadsPerSM":)" << gpu.threads
       << R"(,"regsPerBlock":65536,"totalGlobalMem":)" << gpu.memory << R"(,"smClockRateKHz":)" << gpu.clock
       << R"(,"l2CacheSize":)" << gpu.cache << R"(,"maxBlockSize":[1024,1024,64],"memClockRateKHz":)"
       << gpu.memory_clock << R"(,"maxGridSize":[2147483647,65535,65535],"supportCoopLaunch":1,"pciDeviceId":0,)"
       << R"("isTccDriver":0,"cudaDeviceId":0,"driverVer":13000,"deviceName":")" << gpu.name << "\"}";
  const std::string text = json.str();
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  return std::move(device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::span<const char>(text)).finalize());
}

struct Case {
  const char* name;
  ConvGeometry geometry;
};
const Case cases[] = {
    {"1x1", {{16, 32, 14, 14}, {64, 32, 1, 1}, {16, 64, 14, 14}}},
    {"3x3, padding 1", {{16, 32, 28, 28}, {64, 32, 3, 3}, {16, 64, 28, 28}, 1, 1}},
    {"3x3, one channel", {{32, 1, 28, 28}, {32, 1, 3, 3}, {32, 32, 28, 28}, 1, 1}},
    {"odd sizes", {{5, 3, 27, 29}, {7, 3, 3, 5}, {5, 7, 25, 25}}},
    {"7x7, stride 2", {{32, 3, 224, 224}, {64, 3, 7, 7}, {32, 64, 112, 112}, 2, 3}},
    {"stride 2, the last row unused", {{2, 3, 10, 9}, {4, 3, 3, 3}, {2, 4, 4, 4}, 2}},
    {"dilation 2", {{16, 32, 28, 28}, {64, 32, 3, 3}, {16, 64, 28, 28}, 1, 2, 2}},
    {"4x4, same size", {{16, 32, 28, 28}, {64, 32, 4, 4}, {16, 64, 28, 28}, 1, 1}},
    {"4 groups", {{16, 32, 28, 28}, {64, 8, 3, 3}, {16, 64, 28, 28}, 1, 1, 1, 4}},
    {"depthwise", {{16, 32, 28, 28}, {32, 1, 3, 3}, {16, 32, 28, 28}, 1, 1, 1, 32}},
    {"one dimension", {{16, 32, 1, 100}, {64, 32, 1, 5}, {16, 64, 1, 100}, 1, {0, 2}}},
    {"transposed, stride 2", {{16, 32, 28, 28}, {64, 32, 4, 4}, {16, 64, 14, 14}, 2, 1}},
    {"transposed, more rows than y", {{2, 3, 7, 8}, {2, 3, 2, 2}, {2, 2, 4, 5}, 1, 0, 2}},
};

struct Pass {
  char letter;
  ConvPass pass;
  bool has_bias = false, has_relu = false;

  ConvTask task(Dtype dtype, const ConvGeometry& geometry) const { return {pass, dtype, has_bias, has_relu, geometry}; }
};
constexpr Pass passes[] = {{'f', ConvPass::forward},
                           {'b', ConvPass::forward, true},
                           {'r', ConvPass::forward, true, true},
                           {'i', ConvPass::input_gradient},
                           {'w', ConvPass::weight_gradient}};

struct AttentionCase {
  const char* name;
  bool is_causal;
  int64_t queries, keys, size, value_size;
  bool is_of_heads = false;  // [B, T, H, E] seen as [B, H, T, E]

  AttentionTask task() const {
    const auto view = [&](int64_t rows, int64_t columns) {
      const Shape shape{2, 4, rows, columns};
      if (!is_of_heads) return AttentionTask::View{shape, contiguous_strides(shape)};
      return AttentionTask::View{shape, {4 * rows * columns, columns, 4 * columns, 1}};
    };
    return {is_causal, {view(queries, size), view(keys, size), view(keys, value_size), view(queries, value_size)}};
  }
};
const AttentionCase attentions[] = {
    {"heads of 64", false, 128, 128, 64, 64},         {"heads side by side, causal", true, 128, 128, 64, 64, true},
    {"heads of 32, causal", true, 256, 256, 32, 32},  {"heads of 128, causal", true, 64, 64, 128, 128},
    {"heads of 256, causal", true, 64, 64, 256, 256}, {"values of 32", false, 64, 64, 64, 32},
    {"odd lengths, causal", true, 77, 100, 64, 64},
};

struct LinearCase {
  const char* name;
  LinearTask task;
};
const LinearCase linear_steps[] = {
    {"64 x 784 to 64 x 256", {64, 784, 256}},
    {"768 x 128 to 768 x 512", {768, 128, 512}},
    {"77 x 33 to 77 x 65", {77, 33, 65}},
    {"1 x 16 to 1 x 1", {1, 16, 1}},
};

struct BatchNormCase {
  const char* name;
  Shape shape;
};
const BatchNormCase batch_norms[] = {
    {"64 rows of 256", {64, 256, 1, 1}},         {"2 rows of 8", {2, 8, 1, 1}},
    {"16 channels of 783", {3, 16, 1, 783}},     {"64 channels of 56x56", {256, 64, 1, 56 * 56}},
    {"2048 channels of 7x7", {64, 2048, 1, 49}}, {"12 channels of 7x7", {64, 12, 1, 49}},
};

template <class Task> bool is_supported(const Task& task, const Descriptor& device) {
  try {
    Plan(task.graph(), task.dtype, device);
    return true;
  } catch (const Refused&) {
    return false;
  }
}

std::string table() {
  std::ostringstream text;
  text
      << "Convolutions for which cuDNN " << CUDNN_MAJOR << '.' << CUDNN_MINOR
      << " has an engine that is deterministic and keeps all digits of float32:\n"
         "f forward, b forward with a bias, r with a bias and ReLU, i input gradient, w weight gradient. Where it has\n"
         "none (-), bfloat16 is computed in float32, and float32 by kernels of our own. Written by\n"
         "tests/cuda/cudnn_table.cpp from NVIDIA's library, without a GPU: plans were built, not run, and a driver\n"
         "that only says so (no_driver.cpp) has loaded what they compile. GRADUS_UPDATE_DOCS=1 writes it anew. Below\n"
         "the same of attention, a forward, of linear steps with ReLU, l forward, and of batch norm in training,\n"
         "n forward, g gradients: without an engine, by kernels of our own and cuBLAS.\n\n";
  text << std::left << std::setw(41) << "tensors row by row" << std::right;
  std::vector<Descriptor> devices;
  for (const Gpu& gpu : gpus) {
    text << std::setw(10) << gpu.name;
    devices.push_back(properties(gpu));
  }
  text << '\n';
  // letters(device): those of the tasks that have an engine there.
  const auto add_row = [&](Dtype dtype, const char* name, const auto& letters) {
    text << std::left << std::setw(9) << to_string(dtype) << std::setw(32) << name << std::right;
    for (const Descriptor& device : devices) text << std::setw(10) << letters(device);
    text << '\n';
  };
  for (Dtype dtype : {float32, bfloat16})
    for (const Case& each : cases)
      add_row(dtype, each.name, [&](const Descriptor& device) {
        std::string letters;
        for (const Pass& pass : passes)
          letters += is_supported(pass.task(dtype, each.geometry), device) ? pass.letter : '-';
        return letters;
      });
  text << '\n';
  for (const AttentionCase& each : attentions)
    add_row(AttentionTask::dtype, each.name,
            [&](const Descriptor& device) { return is_supported(each.task(), device) ? 'a' : '-'; });
  text << '\n';
  for (const LinearCase& each : linear_steps)
    add_row(LinearTask::dtype, each.name,
            [&](const Descriptor& device) { return is_supported(each.task, device) ? 'l' : '-'; });
  text << '\n';
  for (const BatchNormCase& each : batch_norms)
    add_row(BatchNormTask::dtype, each.name, [&](const Descriptor& device) {
      return std::string{is_supported(BatchNormTask{false, each.shape}, device) ? 'n' : '-',
                         is_supported(BatchNormTask{true, each.shape}, device) ? 'g' : '-'};
    });
  return text.str();
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

TEST_CASE("cudnn: docs/cudnn_support.txt says what is supported") {
  const std::string path = GRADUS_SOURCE "/docs/cudnn_support.txt";
  const char* update = std::getenv("GRADUS_UPDATE_DOCS");
  const std::string version = "cuDNN " + std::to_string(CUDNN_MAJOR) + '.' + std::to_string(CUDNN_MINOR) + ' ';
  if (update && *update == '1') write_file(path, table());
  else if (contents(path).find(version) == std::string::npos) {
    MESSAGE("skipped: docs/cudnn_support.txt is not of " << version);
    return;
  }
  const std::string expected = contents(path), found = table();
  CHECK_MESSAGE(expected == found, "docs/cudnn_support.txt is stale; with GRADUS_UPDATE_DOCS=1 this test writes it\n",
                found);
}

TEST_CASE("cudnn: wrong graphs are refused") {
  const Descriptor device = properties(gpus[1]);
  const auto accepts = [&](const ConvGeometry& geometry) {
    int accepted = 0;
    for (const Pass& pass : passes) accepted += is_supported(pass.task(float32, geometry), device);
    CHECK((accepted == 0 || accepted == 5));
    return accepted > 0;
  };
  const ConvGeometry right{{16, 32, 28, 28}, {64, 8, 3, 3}, {16, 64, 28, 28}, 1, 1, 1, 4};
  REQUIRE(accepts(right));
  const auto with = [&](Shape ConvGeometry::*shape, int dim, int64_t size) {
    ConvGeometry wrong = right;
    (wrong.*shape)[dim] = size;
    return wrong;
  };
  CHECK_FALSE(accepts(with(&ConvGeometry::x, 0, 15)));
  CHECK_FALSE(accepts(with(&ConvGeometry::x, 1, 31)));
  CHECK_FALSE(accepts(with(&ConvGeometry::weight, 0, 62)));
  CHECK_FALSE(accepts(with(&ConvGeometry::y, 1, 63)));
  CHECK_FALSE(accepts(with(&ConvGeometry::y, 2, 20)));
  CHECK_FALSE(accepts(with(&ConvGeometry::weight, 2, 0)));
  CHECK_FALSE(accepts(with(&ConvGeometry::x, 0, 0)));
  ConvGeometry wrong = right;
  wrong.stride = 0;
  CHECK_FALSE(accepts(wrong));
  wrong = right;
  wrong.padding = -1;
  CHECK_FALSE(accepts(wrong));
}

TEST_CASE("cudnn: wrong attention is refused") {
  const Descriptor device = properties(gpus[1]);
  const AttentionTask right = attentions[1].task();
  REQUIRE(is_supported(right, device));
  const auto accepts = [&](int tensor, int dim, int64_t size) {
    AttentionTask wrong = right;
    wrong.views[tensor].shape[dim] = size;
    return is_supported(wrong, device);
  };
  CHECK_FALSE(accepts(AttentionTask::k, 0, 3));
  CHECK_FALSE(accepts(AttentionTask::k, 3, 32));
  CHECK_FALSE(accepts(AttentionTask::v, 2, 64));
  CHECK_FALSE(accepts(AttentionTask::y, 3, 32));
  CHECK_FALSE(accepts(AttentionTask::y, 2, 64));
}

// Without a row, NVIDIA's cuDNN 9.19 divides by zero: it is not asked.
TEST_CASE("cudnn: wrong batch norm is refused") {
  const Descriptor device = properties(gpus[1]);
  for (bool is_backward : {false, true}) {
    CHECK(is_supported(BatchNormTask{is_backward, {2, 16, 1, 9}}, device));
    CHECK_FALSE(is_supported(BatchNormTask{is_backward, {2, 12, 1, 9}}, device));
  }
}

TEST_CASE("cudnn: an object needs its attributes, and does not change once it is finalized") {
  for (const auto type : {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
                          CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                          CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                          CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                          CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR,
                          CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
                          CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR}) {
    CAPTURE(int(type));
    CHECK_THROWS_AS(Descriptor(type).finalize(), Refused);
  }
  Descriptor mode(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  mode.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_ADD).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  CHECK_THROWS_AS(mode.get<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE), Error);
  mode.finalize();
  CHECK_THROWS_AS(mode.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_MUL), Refused);
}
