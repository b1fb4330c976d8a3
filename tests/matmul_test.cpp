// Matrix products of all sizes against plain loops: the tiny ones, rows and columns, those of one block and of several,
// those cut into bands for threads.

#include "ops/matmul.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/node.h"
#include "core/tape.h"
#include "core/threads.h"
#include "ops/activation.h"
#include "ops/conv.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"

using namespace gradus;

namespace {

// The largest difference of an element from its sum in double, in units of the sum of its terms' sizes.
double error(const Tensor& y, const Tensor& a, const Tensor& b, const Tensor& bias) {
  const int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  REQUIRE(y.shape() == Shape{m, n});
  const std::vector<double> left = a.to_vector<double>(), right = b.to_vector<double>(), values = y.to_vector<double>(),
                            added = bias.to_vector<double>();
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = added[size_t(j)], size = std::abs(sum) + 1e-3;
      for (int64_t l = 0; l < k; ++l) {
        const double term = left[size_t(i * k + l)] * right[size_t(l * n + j)];
        sum += term, size += std::abs(term);
      }
      worst = std::max(worst, std::abs(values[size_t(i * n + j)] - sum) / size);
    }
  return worst;
}

void check(int64_t m, int64_t n, int64_t k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  for (const Dtype dtype : {float32, float64}) {
    const double allowed = dtype == float32 ? 1e-6 : 1e-14;
    const Tensor a = randn({m, k}, dtype), b = randn({k, n}, dtype), bias = randn({n}, dtype), none = zeros({n}, dtype);
    const Tensor turned_a = t(contiguous(t(a))), turned_b = t(contiguous(t(b)));
    for (const Tensor& left : {a, turned_a})
      for (const Tensor& right : {b, turned_b}) {
        CHECK(error(matmul(left, right), a, b, none) < allowed);
        CHECK(error(linear(left, t(right), bias), a, b, bias) < allowed);
      }
  }
}

}  // namespace

TEST_CASE("matmul: tiny products of every shape and layout") {
  manual_seed(1);
  for (const int64_t m : {1, 2, 15, 16, 17, 33})
    for (const int64_t n : {1, 2, 15, 16, 17, 33})
      for (const int64_t k : {0, 1, 2, 15, 16, 17, 33}) check(m, n, k);
}

TEST_CASE("matmul: a sum of no terms is zero, however large the result") {
  check(3000, 3, 0);
  check(3, 3000, 0);
}

TEST_CASE("matmul: operands of any strides") {
  manual_seed(3);
  for (const auto& size :
       std::vector<std::array<int64_t, 3>>{{1, 70, 90}, {70, 1, 90}, {7, 9, 5}, {30, 40, 50}, {110, 20, 400}}) {
    const int64_t m = size[0], n = size[1], k = size[2];
    CAPTURE(m);
    const Tensor a = randn({m, 2 * k}), b = randn({k, 2 * n}), row = randn({1, k}), none = zeros({n});
    for (const Tensor& left : {slice(a, 1, 0, 2 * k, 2), expand(row, {m, k}), flip(slice(a, 1, 0, k), {0, 1})})
      for (const Tensor& right :
           {slice(b, 1, 1, 2 * n, 2), expand(randn({k, 1}), {k, n}), flip(slice(b, 1, 0, n), {1})})
        CHECK(error(matmul(left, right), contiguous(left), contiguous(right), none) < 1e-6);
  }
}

TEST_CASE("matmul: an element of matrices has the same bits whatever is computed beside it, by any number of threads") {
  manual_seed(4);
  const int before = num_threads();
  for (const auto& size :
       std::vector<std::array<int64_t, 3>>{{205, 97, 800}, {97, 205, 800}, {13, 1090, 390}, {17, 33, 9000}})
    for (const bool turned : {false, true}) {
      const int64_t m = size[0], n = size[1], k = size[2];
      CAPTURE(m);
      CAPTURE(turned);
      const Tensor a = turned ? t(randn({k, m})) : randn({m, k}), b = turned ? t(randn({n, k})) : randn({k, n});
      set_num_threads(1);
      const Tensor y = matmul(a, b);
      CHECK(matmul(slice(a, 0, 5, 12), slice(b, 1, 3, 31)).to_vector<float>() ==
            slice(slice(y, 0, 5, 12), 1, 3, 31).to_vector<float>());
      set_num_threads(2);
      CHECK(matmul(a, b).to_vector<float>() == y.to_vector<float>());
    }
  set_num_threads(before);
}

TEST_CASE("matmul: rows and columns have the same bits with one thread, two and three") {
  manual_seed(5);
  const int before = num_threads();
  for (const auto& size : std::vector<std::array<int64_t, 3>>{{3013, 1, 1000}, {1, 3013, 1000}})
    for (const Dtype dtype : {float32, float64})
      for (const bool turned : {false, true}) {
        const int64_t m = size[0], n = size[1], k = size[2];
        CAPTURE(m);
        CAPTURE(turned);
        const Tensor a = turned ? t(randn({k, m}, dtype)) : randn({m, k}, dtype);
        const Tensor b = turned ? t(randn({n, k}, dtype)) : randn({k, n}, dtype);
        set_num_threads(1);
        const std::vector<double> once = matmul(a, b).to_vector<double>();
        for (const int threads : {2, 3}) {
          set_num_threads(threads);
          CHECK(matmul(a, b).to_vector<double>() == once);
        }
      }
  set_num_threads(before);
}

TEST_CASE("matmul: a stack of products is that of its items, also if an operand is expanded") {
  manual_seed(6);
  const Tensor a = randn({3, 20, 70}), b = expand(randn({1, 70, 30}), {3, 70, 30}), y = matmul(a, b);
  for (int64_t i = 0; i < 3; ++i)
    CHECK(select(y, 0, i).to_vector<float>() == matmul(select(a, 0, i), select(b, 0, i)).to_vector<float>());
}

TEST_CASE("matmul: an infinity stays in its row") {
  const int64_t m = 31, n = 37, k = 50;
  std::vector<double> values(size_t(m * k), 1);
  values.back() = std::numeric_limits<double>::infinity();
  const std::vector<double> y = matmul(Tensor(values, {m, k}), ones({k, n})).to_vector<double>();
  for (int64_t i = 0; i < m * n; ++i) CHECK(y[size_t(i)] == (i < (m - 1) * n ? double(k) : values.back()));
}

TEST_CASE("linear: operands of several dtypes become the widest, one after the other") {
  const Tensor x = ones({2, 3}, float64), weight = ones({4, 3}).requires_grad(), bias = ones({4}).requires_grad();
  const Tensor y = linear(x, weight, bias);
  CHECK(y.dtype() == float64);
  CHECK(y.to_vector<double>() == std::vector<double>(8, 4));
  CHECK(y.node()->inputs()[1]->position() < y.node()->inputs()[2]->position());
}

TEST_CASE("matmul: large products of every layout") {
  manual_seed(2);
  const int before = num_threads();
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{{64, 64, 64},
                                                                     {1, 300, 400},
                                                                     {300, 1, 400},
                                                                     {129, 257, 65},
                                                                     {7, 500, 300},
                                                                     {500, 7, 300},
                                                                     {260, 130, 270},
                                                                     {30, 70, 1024},
                                                                     {512, 40, 300},
                                                                     {110, 1040, 400},
                                                                     {13, 1090, 390}})
      check(m, n, k);
  }
  set_num_threads(before);
}

TEST_CASE("linear: ReLU in the same step has the bits of a step of its own, and so have the gradients") {
  manual_seed(9);
  const int before = num_threads();
  for (const int threads : {1, 2})
    for (const Dtype dtype : {float32, float64, bfloat16})
      for (const auto& [rows, in, out] : {std::array<int64_t, 3>{3, 2, 5},
                                          {1, 300, 70},
                                          {90, 200, 1},
                                          {65, 130, 90},
                                          {200, 300, 301},
                                          {0, 3, 4},
                                          {4, 0, 3}}) {
        set_num_threads(threads);
        const Tensor x = to(randn({rows, in}), dtype).requires_grad();
        CAPTURE(x.shape());
        const Tensor weight = to(randn({out, in}), dtype).requires_grad();
        const Tensor bias = to(randn({out}), dtype).requires_grad(), dy = to(randn({rows, out}), dtype);
        const auto results = [&](const Tensor& y) {
          std::vector<double> all = y.to_vector<double>();
          for (const Tensor& gradient : grad({y}, {x, weight, bias}, {}, {dy}))
            for (const double value : gradient.to_vector<double>()) all.push_back(value);
          return all;
        };
        CHECK(results(linear(x, weight, bias, {.relu = true})) == results(relu(linear(x, weight, bias))));
      }
  set_num_threads(before);
  const Tensor x({1, NAN, -1}, {3, 1}), y = linear(x, ones({1, 1}), zeros({1}), {.relu = true});
  CHECK(y.at(0) == 1);
  CHECK(std::isnan(y.at(1)));
  CHECK(y.at(2) == 0);
}

TEST_CASE("linear and conv2d keep their result for the backward pass only if ReLU is part of it") {
  const Tensor image = randn({2, 3, 5, 5}), kernel = randn({4, 3, 3, 3}).requires_grad();
  const Tensor x = randn({2, 3}), weight = randn({4, 3}).requires_grad(), bias = zeros({4});
  for (const bool with_relu : {false, true}) {
    CAPTURE(with_relu);
    const int64_t before = Storage::live();
    const Tensor y = sum(linear(x, weight, bias, {.relu = with_relu}));
    CHECK(Storage::live() == before + 1 + with_relu);
    const Tensor z = sum(conv2d(image, kernel, bias, {.relu = with_relu}));
    CHECK(Storage::live() == before + 2 + 2 * with_relu);
  }
}

TEST_CASE("linear: a bias of any strides") {
  const Tensor x = randn({9, 70}), weight = randn({50, 70});
  for (const Tensor& bias : {slice(randn({100}), 0, 0, 100, 2), flip(randn({50}), {0}), expand(randn({1}), {50})})
    CHECK(linear(x, weight, bias).to_vector<float>() == linear(x, weight, contiguous(bias)).to_vector<float>());
}
