// Convolutions on the GPU (or the emulated one) against the CPU: by cuDNN, and by our own kernels where it has no
// engine.

#include "ops/conv.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/tape.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/cuda/cuda_function.h"

using namespace gradus;

namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
using X = const std::vector<Tensor>&;

struct Case {
  const char* name;
  std::vector<Shape> shapes;
  Function f;
  int cudnn_runs = 3;  // forward, input gradient, weight gradient; 0 for what cuDNN refuses
};

Function conv(const ConvOptions& options = {}) {
  return [=](X x) { return conv2d(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), options); };
}

const std::vector<Case> cases{
    {"kernel of 1", {{2, 8, 7, 9}, {16, 8, 1, 1}, {16}}, conv()},
    {"kernel of 3, 64 channels", {{2, 64, 8, 8}, {64, 64, 3, 3}, {64}}, conv({.padding = 1})},
    {"kernel of 1, with ReLU", {{2, 8, 7, 9}, {16, 8, 1, 1}, {16}}, conv({.relu = true})},
    {"with ReLU", {{2, 3, 8, 7}, {4, 3, 3, 3}, {4}}, conv({.padding = 1, .relu = true})},
    {"with ReLU, without bias", {{2, 3, 8, 7}, {4, 3, 3, 3}}, conv({.relu = true})},
    {"no bias", {{2, 3, 8, 7}, {4, 3, 3, 3}}, conv({.padding = 1})},
    {"one channel", {{3, 1, 28, 28}, {8, 1, 3, 3}, {8}}, conv({.padding = 1})},
    {"depthwise", {{2, 12, 9, 8}, {12, 1, 3, 3}, {12}}, conv({.padding = 1, .groups = 12})},
    {"groups", {{2, 6, 9, 8}, {9, 2, 3, 2}, {9}}, conv({.stride = {2, 1}, .padding = {1, 2}, .groups = 3})},
    {"dilation", {{1, 4, 13, 12}, {5, 4, 3, 3}, {5}}, conv({.padding = {2, 3}, .dilation = {2, 3}})},
    {"even kernel, same size", {{2, 3, 9, 8}, {4, 3, 4, 2}, {4}}, conv({.padding = Padding::same})},
    {"stride that leaves rows out", {{2, 3, 10, 11}, {4, 3, 3, 3}, {4}}, conv({.stride = {3, 4}})},
    {"stride beyond the kernel", {{2, 3, 11, 10}, {4, 3, 1, 2}, {4}}, conv({.stride = 3})},
    {"padding beyond the kernel", {{1, 2, 3, 3}, {3, 2, 2, 2}, {3}}, conv({.padding = 4})},
    {"kernel as large as x", {{4, 3, 6, 5}, {7, 3, 6, 5}, {7}}, conv()},
    {"no images", {{0, 3, 6, 5}, {4, 3, 3, 3}, {4}}, conv(), 0},
    {"no channels", {{2, 0, 6, 5}, {4, 0, 3, 3}, {4}}, conv(), 0},
    {"no outputs", {{2, 3, 6, 5}, {0, 3, 3, 3}, {0}}, conv(), 0},
    {"one dimension", {{2, 4, 30}, {6, 4, 5}, {6}}, [](X x) { return conv1d(x[0], x[1], x[2], {.padding = 2}); }},
    {"transposed",
     {{2, 4, 5, 6}, {4, 3, 3, 4}},
     [](X x) { return conv_transpose2d(x[0], x[1], {}, {.stride = 2, .padding = 1, .output_padding = 1}); }},
    {"transposed, with more rows than the stride explains",
     {{1, 2, 4, 5}, {2, 3, 2, 2}},
     [](X x) { return conv_transpose2d(x[0], x[1], {}, {.output_padding = 1, .dilation = 2}); },
     0},
    {"from the middle of memory",
     {{3, 3, 5, 5}, {5, 3, 3, 3}, {3}},
     [](X x) { return conv2d(narrow(x[0], 0, 1, 2), narrow(x[1], 0, 1, 3), x[2]); }},
    {"channels last",
     {{2, 6, 7, 4}, {3, 3, 4, 8}, {8}},
     [](X x) {
       return conv2d(permute(x[0], {0, 3, 1, 2}), permute(x[1], {3, 2, 0, 1}), x[2]);
     }},
};

// The result and the gradients with respect to all of x.
std::vector<Tensor> results(const Function& f, X inputs) {
  std::vector<Tensor> x;
  for (const Tensor& each : inputs) x.push_back(each.detach().requires_grad());
  const Tensor y = f(x);
  Generator generator(5);
  const Tensor dy = to(uniform(y.shape(), -1, 1, float32, generator), y.dtype());
  std::vector<Tensor> all = grad({y}, x, {}, {to(dy, y.device())});
  all.push_back(y.detach());
  return all;
}

int compared = 0;

void compare(const Case& each, Dtype dtype, bool by_cudnn) {
  CAPTURE(std::string(each.name));
  CAPTURE(to_string(dtype));
  Generator generator(4);
  std::vector<Tensor> x, on_gpu;
  for (const Shape& shape : each.shapes) {
    x.push_back(to(uniform(shape, -1, 1, float32, generator), dtype));
    on_gpu.push_back(x.back().copied_to(Device::cuda()));
  }
  const double allowed = dtype == float64 ? 1e-12 : dtype == float32 ? 2e-5 : 0.01;
  const std::vector<Tensor> expected = results(each.f, x);
  std::vector<Tensor> found;
  check_cudnn_runs(by_cudnn ? each.cudnn_runs : 0, [&] {
    for (const Tensor& result : results(each.f, on_gpu)) found.push_back(to(result, Device::cpu()));
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(found[i].dtype() == dtype);
    CHECK(checks::distance(found[i], expected[i]) <= allowed);
  }
  ++compared;
}

void compare_all(const char* engines) {
  REQUIRE(cuda::is_available());
  compared = 0;
  const std::string all = engines;
  with_cudnn_engines(engines, [&] {
    for (const Case& each : cases)
      for (Dtype dtype : {float64, float32, bfloat16})
        for (int i = 0; i < (all == "all" ? 2 : 1); ++i)  // the second time with the plan of the first
          compare(each, dtype, all != "none" && dtype != float64);
  });
  MESSAGE(compared << " cases");
}

}  // namespace

TEST_CASE("cuda: ReLU of a convolution keeps NaN") {
  for (const char* engines : {"all", "none"})
    with_cudnn_engines(engines, [] {
      const Tensor x = Tensor({1, NAN, -1}, {3, 1, 1, 1}), weight = ones({1, 1, 1, 1}), bias = zeros({1});
      const auto on_gpu = [](const Tensor& each) { return to(each, Device::cuda()); };
      const Tensor y = to(conv2d(on_gpu(x), on_gpu(weight), on_gpu(bias), {.relu = true}), Device::cpu());
      CHECK(y.at(0) == 1);
      CHECK(std::isnan(y.at(1)));
      CHECK(y.at(2) == 0);
    });
}

TEST_CASE("cuda: convolutions by cuDNN") { compare_all("all"); }

TEST_CASE("cuda: convolutions where cuDNN has no engine for bfloat16") { compare_all("float32"); }

TEST_CASE("cuda: convolutions without cuDNN") { compare_all("none"); }
