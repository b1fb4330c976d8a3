// Indexing, joining, pooling and rotary positions on the GPU (or the emulated one), larger and odder than the samples
// of operations_test.cpp. Run again with GRADUS_CUDA_EMULATOR_SHUFFLE, every launch has its threads in another order.

#include "ops/index.h"

#include <doctest/doctest.h>

#include <limits>

#include "core/tape.h"
#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/upsample.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/op_samples.h"

using namespace gradus;
using namespace gradus::samples;

namespace {

const Device cpu = Device::cpu(), gpu = Device::cuda();
const Dtype floating[] = {float32, float64, bfloat16};

Tensor random(const Shape& shape, Dtype dtype = float32, double scale = 1) {
  static Generator generator(5);
  return to(uniform(shape, -scale, scale, float64, generator), dtype);
}
Tensor random_index(int64_t size, const Shape& shape) {
  static Generator generator(6);
  return randint(0, size, shape, generator);
}

// The value and the gradients of f on a device, the latter for a gradient of y that is the same everywhere.
std::vector<Tensor> results(const Function& f, Inputs inputs, Device device) {
  std::vector<Tensor> x;
  for (const Tensor& each : inputs) x.push_back(each.copied_to(device));
  x = leaves(x);
  const Tensor y = f(x);
  std::vector<Tensor> all{y.detach()};
  if (!y.needs_grad()) return all;
  Generator generator(7);
  const Tensor seed = to(uniform(y.shape(), 0.5, 1.5, float64, generator), y.dtype()).copied_to(device);
  for (const Tensor& g : grad({y}, differentiable(x), {}, {seed})) all.push_back(g);
  return all;
}

// Both devices agree, and the GPU gives the same bits each time.
void compare(const Function& f, Inputs inputs, double allowed) {
  const std::vector<Tensor> expected = results(f, inputs, cpu);
  const std::vector<Tensor> found = results(f, inputs, gpu), again = results(f, inputs, gpu);
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].device() == gpu);
    CHECK(found[i].dtype() == expected[i].dtype());
    CHECK(checks::distance(found[i].copied_to(cpu), expected[i]) <= allowed);
    CHECK(checks::distance(again[i].copied_to(cpu), found[i].copied_to(cpu)) == 0);
  }
}

double rounding(Dtype dtype) { return dtype == float64 ? 1e-13 : dtype == float32 ? 1e-5 : 0.02; }

}  // namespace

TEST_CASE("cuda: an embedding with many repeats, and a row that is never used") {
  Tensor index = random_index(64, {700});
  index = cat({index, zeros({50}, int64), full({33}, 63, int64)});  // two rows are used more than the others
  for (const Dtype dtype : floating) {
    CAPTURE(dtype);
    const auto f = [&](Inputs x) { return embedding(beside(x, index), x[0]); };
    compare(f, std::vector{random({65, 128}, dtype)}, rounding(dtype));
    const Tensor gradient = results(f, std::vector{random({65, 128}, dtype)}, gpu)[1];
    CHECK(checks::distance(narrow(gradient, 0, 64, 1).copied_to(cpu), zeros({1, 128}, dtype)) == 0);
  }
}

TEST_CASE("cuda: slices of any dimension") {
  const Tensor index = random_index(9, {130});
  for (const Dtype dtype : {float32, float64, bfloat16, int64, boolean})
    for (const int dim : {0, 1, 2}) {
      CAPTURE(dtype);
      CAPTURE(dim);
      Shape shape{3, 5, 37};
      shape[dim] = 9;
      const Tensor x = random(shape, dtype, 9);
      compare([&](Inputs t) { return index_select(t[0], dim, beside(t, index)); }, std::vector{x}, rounding(dtype));
      if (dtype == boolean) continue;
      shape[dim] = 130;
      compare([&](Inputs t) { return index_add(t[0], dim, beside(t, index), t[1]); },
              std::vector{x, random(shape, dtype, 9)}, rounding(dtype));
    }
}

TEST_CASE("cuda: elements along any dimension, added in the order of the CPU") {
  for (const Dtype dtype : {float32, float64, bfloat16, int64})
    for (const int dim : {0, 1, 2}) {
      CAPTURE(dtype);
      CAPTURE(dim);
      Shape shape{4, 6, 35}, places{3, 5, 33};
      places[dim] = 70;  // of 4, 6 or 35
      const Tensor index = random_index(shape[dim], places), x = random(shape, dtype, 9);
      const Tensor other_layout = transpose(random({shape[2], shape[1], shape[0]}, dtype, 9), 0, 2);
      for (const Tensor& each : {x, other_layout})
        compare([&](Inputs t) { return gather(t[0], dim, beside(t, index)); }, std::vector{each}, 0);
      compare([&](Inputs t) { return scatter_add(t[0], dim, beside(t, index), t[1]); },
              std::vector{x, random(places, dtype, 9)}, 0);
    }
  const Tensor same = zeros({2, 1000}, int64);  // all at one place
  compare([&](Inputs t) { return scatter_add(t[0], 1, beside(t, same), t[1]); },
          std::vector{random({2, 1}), random({2, 1000})}, 0);
}

TEST_CASE("cuda: an index outside gives the error of the CPU") {
  Tensor index = random_index(8, {3, 400});
  index.mutable_data<int64_t>()[777] = 8;
  index.mutable_data<int64_t>()[778] = -1;
  index.mutable_data<int64_t>()[1199] = 9;
  const Tensor row = reshape(index, {1200}), x = random({8, 400}), source = random({1200, 400});
  const auto on = [](const Tensor& t, Device device) { return t.copied_to(device); };
  const auto errors = [&](Device d) {
    std::vector<std::string> texts;
    texts.push_back(checks::error_here([&] { index_select(on(x, d), 0, on(row, d)); }));
    texts.push_back(checks::error_here([&] { index_add(on(x, d), 0, on(row, d), on(source, d)); }));
    texts.push_back(checks::error_here([&] { embedding(on(index, d), on(x, d)); }));
    texts.push_back(checks::error_here([&] { gather(on(x, d), 0, on(index, d)); }));
    texts.push_back(checks::error_here([&] { scatter_add(on(x, d), 0, on(index, d), on(x, d)); }));
    texts.push_back(checks::error_here([&] { one_hot(on(index, d), 8); }));
    texts.push_back(checks::error_here([&] { embedding(on(Tensor(-3, int64), d), on(x, d)); }));
    return texts;
  };
  const std::vector<std::string> expected = errors(cpu), found = errors(gpu);
  for (size_t i = 0; i < expected.size(); ++i) CHECK(found[i] == expected[i]);
  CHECK(found[0] ==
        "index_select: index[777] is 8; it must be at least 0 and less than 8, the size of dimension 0 of x (here)");
  CHECK(found[2] ==
        "embedding: index[1, 377] is 8; it must be at least 0 and less than 8, the number of rows of weight (here)");
}

TEST_CASE("cuda: empty tensors") {
  const Tensor none = zeros({0}, int64), no_rows = zeros({3, 0}, int64);
  compare([&](Inputs t) { return index_select(t[0], 1, beside(t, none)); }, std::vector{random({3, 4})}, 0);
  compare([&](Inputs t) { return index_add(t[0], 0, beside(t, none), t[1]); },
          std::vector{random({3, 4}), random({0, 4})}, 0);
  compare([&](Inputs t) { return embedding(beside(t, none), t[0]); }, std::vector{random({0, 4})}, 0);
  compare([&](Inputs t) { return embedding(beside(t, zeros({5}, int64)), t[0]); }, std::vector{random({2, 0})}, 0);
  compare([&](Inputs t) { return gather(t[0], 1, beside(t, no_rows)); }, std::vector{random({3, 4})}, 0);
  compare([&](Inputs t) { return scatter_add(t[0], 1, beside(t, no_rows), t[1]); },
          std::vector{random({3, 4}), random({3, 2})}, 0);
  compare([](Inputs t) { return cat({t[0], t[1], t[0]}, 1); }, std::vector{random({3, 0}), random({3, 2})}, 0);
  compare([](Inputs t) { return max_pool2d(t[0], 2); }, std::vector{random({0, 2, 6, 6})}, 0);
  compare([](Inputs t) { return avg_pool2d(t[0], 2); }, std::vector{random({0, 2, 6, 6})}, 0);
  compare([](Inputs t) { return rotary(t[0], 0, 100); }, std::vector{random({2, 0, 4})}, 0);
}

TEST_CASE("cuda: joins of many") {
  for (const Dtype dtype : {float32, float64, bfloat16, int64, boolean})
    for (const int dim : {0, 1, 2}) {
      CAPTURE(dtype);
      CAPTURE(dim);
      std::vector<Tensor> parts;
      for (int64_t i = 0; i < 40; ++i) {
        Shape shape{3, 4, 5};
        shape[dim] = i * 7 % 5;
        parts.push_back(random(shape, dtype, 9));
      }
      compare([&](Inputs t) { return cat({t.begin(), t.end()}, dim); }, parts, 0);
    }
  const Tensor image = transpose(random({2, 17, 9}), 1, 2);
  compare([](Inputs t) { return stack({t[0], t[0], t[0]}, 1); }, std::vector{image}, 1e-6);
  compare([](Inputs t) { return pad(t[0], {3, 1, 0, 5, 2, 2}, 0.5); }, std::vector{image}, 0);
  compare([](Inputs t) { return roll(t[0], -5, 2); }, std::vector{image}, 0);
}

TEST_CASE("cuda: pools and interpolation of larger images") {
  const std::vector<std::pair<const char*, Function>> calls{
      {"max 2", [](Inputs x) { return max_pool2d(x[0], 2); }},
      {"max 3 x 5",
       [](Inputs x) {
         return max_pool2d(x[0], {3, 5}, {.stride = 2, .padding = {1, 2}});
       }},
      {"max dilated", [](Inputs x) { return max_pool2d(x[0], 3, {.stride = 1, .dilation = 3, .ceil_mode = true}); }},
      {"max adaptive",
       [](Inputs x) {
         return adaptive_max_pool2d(x[0], {5, 9});
       }},
      {"average 2", [](Inputs x) { return avg_pool2d(x[0], 2); }},
      {"average 5 x 3",
       [](Inputs x) {
         return avg_pool2d(x[0], {5, 3}, {.stride = 3, .padding = {2, 1}, .count_include_pad = false});
       }},
      {"average of all", [](Inputs x) { return adaptive_avg_pool2d(x[0], 1); }},
      {"average adaptive",
       [](Inputs x) {
         return adaptive_avg_pool2d(x[0], {3, 10});
       }},
      {"nearest",
       [](Inputs x) {
         return interpolate(x[0], {.size = {40, 11}});
       }},
      {"bilinear", [](Inputs x) {
         return interpolate(x[0], {.size = {13, 61}, .mode = Interpolation::bilinear});
       }}};
  for (const auto& call : calls)
    for (const Dtype dtype : floating) {
      CAPTURE(std::string(call.first));
      const Function& f = call.second;
      CAPTURE(dtype);
      compare(f, std::vector{random({3, 2, 28, 28}, dtype)}, rounding(dtype));
      // Channels last; and whole numbers, so that many inputs are the largest.
      compare(f, std::vector{permute(to(random_index(4, {2, 29, 27, 3}), dtype), {0, 3, 1, 2})}, rounding(dtype));
    }
}

TEST_CASE("cuda: NaN is the largest, and the first of them is taken") {
  for (const Dtype dtype : floating) {
    Tensor values = random({2, 3, 15, 13}, float64);
    for (const int64_t at : {0, 1, 14, 100, 113, 114, 389, 777, 1169})
      values.mutable_data<double>()[at] = std::numeric_limits<double>::quiet_NaN();
    values.mutable_data<double>()[40] = std::numeric_limits<double>::infinity();
    for (int64_t at = 585; at < 780; ++at) values.mutable_data<double>()[at] = -std::numeric_limits<double>::infinity();
    CAPTURE(dtype);
    const std::vector<Tensor> x{to(values, dtype)};
    compare([](Inputs t) { return max_pool2d(t[0], {3, 2}, {.stride = {2, 1}, .padding = 1}); }, x, 0.02);
    compare([](Inputs t) { return adaptive_max_pool2d(t[0], {4, 1}); }, x, 0.02);
    compare([](Inputs t) { return avg_pool2d(t[0], 3); }, x, 0.02);
  }
}

TEST_CASE("cuda: rotary positions") {
  for (const Dtype dtype : floating) {
    CAPTURE(dtype);
    const auto f = [](Inputs x) { return rotary(x[0], 1000, 10000); };
    compare(f, std::vector{random({2, 3, 65, 34}, dtype)}, rounding(dtype));
    compare(f, std::vector{transpose(random({2, 65, 3, 34}, dtype), 1, 2)}, rounding(dtype));
  }
}
