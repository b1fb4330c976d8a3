// Winograd's convolutions against products with the matrix of columns, in float64.

#include "ops/cpu/winograd.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "core/threads.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"

using namespace gradus;
using kernel::ConvGeometry;

namespace {

ConvGeometry geometry(int64_t images, int64_t groups, int64_t channels, int64_t outputs, Size2d size, Size2d padding) {
  const Shape x{images, groups * channels, size.height, size.width};
  const Shape y{images, groups * outputs, size.height + 2 * padding.height - 2, size.width + 2 * padding.width - 2};
  return {.x = x, .weight = {groups * outputs, channels, 3, 3}, .y = y, .padding = padding, .groups = groups};
}

// The largest difference, in units of the largest value.
double error(const Tensor& result, const Tensor& reference) {
  if (result.numel() == 0) return 0;
  return amax(abs(to(result, float64) - reference)).item<double>() /
         std::max(1e-30, amax(abs(reference)).item<double>());
}

// All three passes agree with float64, and have the same bits with 1 and with 2 threads.
void check(const ConvGeometry& g) {
  CAPTURE(g.x);
  CAPTURE(g.weight);
  CAPTURE(g.padding);
  CAPTURE(g.groups);
  REQUIRE(cpu::winograd::can_compute(g));
  const Tensor x = randn(g.x), weight = randn(g.weight), bias = randn({g.weight[0]}), dy = randn(g.y);
  Tensor y = zeros(g.y, float64), dx = zeros(g.x, float64), dweight = zeros(g.weight, float64);
  cpu::conv(g, to(x, float64), to(weight, float64), to(bias, float64), false, y);
  cpu::conv_input_gradient(g, to(dy, float64), to(weight, float64), dx);
  cpu::conv_weight_gradient(g, to(dy, float64), to(x, float64), dweight);
  std::vector<std::vector<float>> results[2];
  const int before = num_threads();
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    const Tensor out[] = {full(g.y, 7.f), full(g.x, 7.f), full(g.weight, 7.f)};
    cpu::winograd::conv(g, x, weight, bias, true, out[0]);
    const std::vector<float> rectified = out[0].to_vector<float>();
    cpu::winograd::conv(g, x, weight, bias, false, out[0]);
    CHECK(rectified == relu(out[0]).to_vector<float>());
    cpu::winograd::conv_input_gradient(g, dy, weight, out[1]);
    cpu::winograd::conv_weight_gradient(g, dy, x, out[2]);
    CHECK(error(out[0], y) < 3e-5);
    CHECK(error(out[1], dx) < 3e-5);
    CHECK(error(out[2], dweight) < 3e-5);
    for (const Tensor& each : out) results[threads - 1].push_back(each.to_vector<float>());
  }
  set_num_threads(before);
  CHECK(results[0] == results[1]);
}

}  // namespace

TEST_CASE("Winograd's convolutions of random shapes agree with float64") {
  const unsigned seed = std::random_device()();
  CAPTURE(seed);
  manual_seed(seed);
  std::mt19937 generator(seed);
  const auto from = [&](int64_t low, int64_t high) { return std::uniform_int_distribution(low, high)(generator); };
  for (int i = 0; i < 60; ++i) {
    const Size2d size{from(4, 21), from(4, 21)}, padding{from(0, 2), from(0, 2)};
    if ((size.height + 2 * padding.height - 2) * (size.width + 2 * padding.width - 2) < 16) continue;
    check(geometry(from(1, 5), from(1, 3), from(1, 35), from(1, 35), size, padding));
  }
}

TEST_CASE("Winograd's convolutions of many tiles, wide images, wide padding, and of nothing") {
  manual_seed(1);
  check(geometry(50, 1, 17, 9, {11, 18}, {1, 1}));
  check(geometry(2, 2, 3, 5, {5, 301}, {1, 0}));
  check(geometry(2, 1, 16, 16, {5, 4}, {4, 5}));
  check(geometry(0, 1, 16, 16, {8, 8}, {1, 1}));
}

TEST_CASE("conv2d leaves to Winograd what takes it less time") {
  CHECK(cpu::winograd::pays(geometry(32, 1, 64, 64, {16, 16}, {1, 1})));
  CHECK(cpu::winograd::pays(geometry(64, 1, 32, 64, {14, 14}, {1, 1})));
  CHECK_FALSE(cpu::winograd::pays(geometry(64, 1, 1, 32, {28, 28}, {1, 1})));  // few channels
  CHECK_FALSE(cpu::winograd::pays(geometry(1, 1, 512, 512, {7, 7}, {1, 1})));  // few tiles
  CHECK_FALSE(cpu::winograd::pays(geometry(32, 64, 1, 1, {16, 16}, {1, 1})));  // channels by themselves
  ConvGeometry strided = geometry(32, 1, 64, 64, {16, 16}, {1, 1});
  strided.stride = 2;
  CHECK_FALSE(cpu::winograd::pays(strided));
}
