#include "ops/reduce.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "core/threads.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/op_samples.h"

using namespace gradus;
using checks::distance;

namespace {

struct Plain {
  std::vector<std::vector<double>> groups;  // the elements behind each result
  Shape kept;                               // with keepdim
};

// Which elements are reduced together, found one by one.
Plain group(const Tensor& x, const std::vector<int64_t>& dims) {
  Plain plain{.groups = {}, .kept = x.shape()};
  for (int64_t dim : dims) plain.kept[int(dim)] = 1;
  plain.groups.resize(size_t(plain.kept.numel()));
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t rest = i, group_index = 0, step = 1;
    for (int d = x.dim() - 1; d >= 0; --d) {
      const int64_t at = rest % x.shape()[d];
      rest /= x.shape()[d];
      if (plain.kept[d] != 1 || x.shape()[d] == 1) group_index += at * step;
      step *= plain.kept[d];
    }
    plain.groups[size_t(group_index)].push_back(x.at(i));
  }
  return plain;
}

template <class F> Tensor reduced(const Plain& plain, F&& f) {
  std::vector<double> values;
  for (const std::vector<double>& elements : plain.groups) values.push_back(f(elements));
  return Tensor(values, plain.kept, float64);
}

}  // namespace

TEST_CASE("reductions: every choice of dimensions, dtype and layout, against plain loops") {
  manual_seed(1);
  for (const Shape& shape :
       std::vector<Shape>{{5}, {3, 4}, {2, 3, 5}, {1, 7, 1}, {2, 3, 2, 4}, {33, 65}, {300, 3}, {7, 2083}})
    for (Dtype dtype : {float64, float32, bfloat16, int64, boolean}) {
      const std::vector<Tensor> x = samples::inputs({shape}, -4, 4, dtype);
      std::vector<std::vector<Tensor>> all = samples::layouts(x);
      all.push_back(samples::repeated(x));
      for (const std::vector<Tensor>& layout : all)
        for (unsigned chosen = 1; chosen < 1u << shape.dim(); ++chosen) {
          std::vector<int64_t> list;
          for (int d = 0; d < shape.dim(); ++d)
            if (chosen >> d & 1) list.push_back(d);
          Dims dims;
          dims.all = false;
          dims.list = list;
          const Tensor& each = layout[0];
          const Plain plain = group(each, list);
          CAPTURE(shape);
          CAPTURE(chosen);
          CAPTURE(to_string(dtype));
          const double allowed = dtype == float32 ? 1e-5 : dtype == bfloat16 ? 1e-2 : 1e-13;
          const auto total = [](const auto& v) { return std::accumulate(v.begin(), v.end(), 0.); };
          CHECK(distance(sum(each, dims, true), reduced(plain, total)) <= allowed);
          CHECK(distance(amax(each, dims, true),
                         reduced(plain, [](auto& v) { return *std::ranges::max_element(v); })) == 0);
          CHECK(distance(amin(each, dims, true),
                         reduced(plain, [](auto& v) { return *std::ranges::min_element(v); })) == 0);
          CHECK(distance(any(each, dims, true), reduced(plain, [](auto& v) {
                           return std::ranges::any_of(v, [](double e) { return e != 0; });
                         })) == 0);
          CHECK(distance(gradus::all(each, dims, true), reduced(plain, [](auto& v) {
                           return std::ranges::all_of(v, [](double e) { return e != 0; });
                         })) == 0);
          if (!is_floating_point(dtype)) continue;
          CHECK(distance(mean(each, dims, true),
                         reduced(plain, [&](auto& v) { return total(v) / double(v.size()); })) <= allowed);
          CHECK(sum(each, dims).numel() == plain.kept.numel());
          CHECK(sum(each, dims).dim() == shape.dim() - int(list.size()));
        }
    }
}

TEST_CASE("reductions: long sums are exact to the last digits and the same on any number of threads") {
  manual_seed(2);
  const int before = num_threads();
  const Tensor x = rand({3'000'000}), table = reshape(x, {1200, 2500});
  const Tensor exact = to(x, float64);
  std::vector<Tensor> results;
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const Tensor total = sum(x);
    CHECK(total.item<double>() == doctest::Approx(sum(exact).item<double>()).epsilon(2e-7));
    CHECK(distance(sum(table, 0), sum(reshape(exact, {1200, 2500}), 0)) < 1e-6);
    CHECK(distance(sum(table, 1), sum(reshape(exact, {1200, 2500}), 1)) < 1e-6);
    results.push_back(total + sum(table, 0) + sum(sum(table, 1)) + sum(t(table), 1) + logsumexp(table, 0) +
                      var(table, 0));
  }
  set_num_threads(before);
  CHECK(distance(results[0], results[1]) == 0);
  CHECK(distance(results[0], results[2]) == 0);
}

TEST_CASE("reductions: NaN, infinities, ties and single elements") {
  const Tensor x = tensor({{1, NAN, 3}, {4, 2, 4}, {-INFINITY, -INFINITY, -INFINITY}});
  CHECK(distance(amax(x, 1), tensor({NAN, 4, -INFINITY})) == 0);
  CHECK(distance(amin(x, 1), tensor({NAN, 2, -INFINITY})) == 0);
  CHECK(argmax(x, 1).to_vector<int>() == std::vector{1, 0, 0});
  CHECK(argmin(x, 1).to_vector<int>() == std::vector{1, 1, 0});
  CHECK(argmax(t(x), 0, true).shape() == Shape{1, 3});
  CHECK(argmax(t(x), 0).to_vector<int>() == std::vector{1, 0, 0});
  CHECK(distance(logsumexp(x, 1), tensor({NAN, 4 + std::log(2 + std::exp(-2.)), -INFINITY})) < 1e-6);
  CHECK(logsumexp(tensor({1000, 1000})).item() == doctest::Approx(1000 + std::log(2.)));
  CHECK(logsumexp(tensor({INFINITY, 1})).item() == INFINITY);
  CHECK(std::isnan(var(tensor({5})).item()));
  CHECK(var(tensor({5}), {}, false, 0).item() == 0);
  CHECK(std::isnan(mean(zeros({0})).item()));
  CHECK(sum(zeros({0, 3}), 0).to_vector<int>() == std::vector{0, 0, 0});
  CHECK(sum(arange(5)).dtype() == int64);
  CHECK(sum(tensor({1, 0, 1}, boolean)).item<int>() == 2);
  CHECK_FALSE(any(zeros({0})).item<bool>());
  CHECK(all(zeros({0})).item<bool>());
  CHECK(sum(Tensor(3)).item() == 3);
  CHECK(sum(tensor({1, 2}), -1).item() == 3);

  const Tensor tied = tensor({2, 5, 5, 1}).requires_grad();
  amax(tied).backward();
  CHECK(tied.grad().to_vector<float>() == std::vector<float>{0, 0.5, 0.5, 0});
  const Tensor zero = zeros({3}).requires_grad();
  norm(zero).backward();
  CHECK(zero.grad().to_vector<int>() == std::vector{0, 0, 0});
}

TEST_CASE("reductions: extremes and NaN anywhere in rows and in one long run; int64, whole blocks and a rest") {
  manual_seed(3);
  for (const Shape& shape : {Shape{5, 40}, Shape{6, 2100}, Shape{16 * 8192}, Shape{16 * 8192 + 5}})
    for (const Dtype dtype : {float32, float64, int64}) {
      const Tensor x = dtype == int64 ? randint(-1000, 1000, shape) : randn(shape, dtype);
      const int64_t n = shape.back(), rows = x.numel() / n;
      const std::vector<double> all = x.to_vector<double>();
      const auto row = [&](int64_t i) { return std::vector<double>(all.begin() + i * n, all.begin() + (i + 1) * n); };
      const Tensor total = sum(x, -1), largest = amax(x, -1), smallest = amin(x, -1);
      for (int64_t i = 0; i < rows; ++i) {
        const std::vector<double> values = row(i);
        const double expected = std::accumulate(values.begin(), values.end(), 0.);
        CHECK(std::abs(total.at(i) - expected) <= (dtype == int64 ? 0 : dtype == float64 ? 1e-11 : 1e-4));
        CHECK(largest.at(i) == *std::ranges::max_element(values));
        CHECK(smallest.at(i) == *std::ranges::min_element(values));
      }
      if (dtype == int64) continue;
      for (const int64_t place : {int64_t(0), int64_t(5), n / 2, n - 1}) {
        std::vector<double> values = all;
        values[size_t(place)] = NAN;
        const Tensor y(values, shape, dtype), high = amax(y, -1), low = amin(y, -1);
        CHECK(std::isnan(high.at(0)));
        CHECK(std::isnan(low.at(0)));
        for (int64_t i = 1; i < rows; ++i) CHECK(high.at(i) == largest.at(i));
      }
    }
}

TEST_CASE("reductions: a variance far from zero keeps its digits") {
  const Tensor x = tensor({1'000'001, 1'000'002, 1'000'003});
  CHECK(var(x).item() == 1);
  CHECK(gradus::std(x, {}, false, 0).item() == doctest::Approx(std::sqrt(2. / 3)));
}

TEST_CASE("reductions: int64 sums are exact") {
  const int64_t large = (int64_t(1) << 60) + 1;
  CHECK(sum(full({3}, 1, int64) * tensor(std::vector<int64_t>{large})).item<int64_t>() == 3 * large);
}
