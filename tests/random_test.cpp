#include "core/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "core/threads.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

namespace {

struct Moments {
  double mean, variance, skewness, kurtosis;
};

Moments moments(const Tensor& x) {
  const std::vector<double> values = x.to_vector<double>();
  const double n = double(values.size()), mean = std::accumulate(values.begin(), values.end(), 0.) / n;
  double m2 = 0, m3 = 0, m4 = 0;
  for (double v : values) {
    const double d = v - mean;
    m2 += d * d / n, m3 += d * d * d / n, m4 += d * d * d * d / n;
  }
  return {mean, m2, m3 / std::pow(m2, 1.5), m4 / (m2 * m2)};
}

constexpr int64_t many = 400'000;

}  // namespace

TEST_CASE("random: Philox 4x32-10 gives the known answers of Random123") {
  using Words = std::array<uint32_t, 4>;
  CHECK(philox(0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  // The other published vectors set all 128 bits of the counter, of which ours has 64; these come from an independent
  // implementation that gives all three published ones.
  CHECK(philox(0xffffffffffffffff, 0xffffffffffffffff) == Words{0x4d18d7d2, 0x430ac65a, 0xbd2fa22a, 0x0afae10d});
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88) == Words{0xe69c9c31, 0xb5a3d762, 0xe733bfc1, 0x341a787c});
  static_assert(philox(0, 0)[0] == 0x6627e8d5);
}

TEST_CASE("random: the same seed gives the same numbers, wherever drawing begins again") {
  manual_seed(42);
  const Tensor a = rand({1000}), b = randn({1000});
  manual_seed(42);
  CHECK(checks::distance(rand({1000}), a) == 0);
  const GeneratorState state = default_generator().state();
  CHECK(state.seed == 42);
  CHECK(checks::distance(randn({1000}), b) == 0);
  default_generator().set_state(state);
  CHECK(checks::distance(randn({1000}), b) == 0);
  manual_seed(43);
  CHECK(checks::distance(rand({1000}), a) > 0.5);

  Generator own(42);
  CHECK(checks::distance(rand({1000}, float32, own), a) == 0);
}

TEST_CASE("random: numbers do not depend on the number of threads") {
  const int before = num_threads();
  std::vector<std::vector<double>> drawn[2];
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    manual_seed(7);
    auto& all = drawn[threads - 1];
    for (Dtype dtype : {float32, float64, bfloat16})
      for (const Tensor& x : {rand({200'001}, dtype), randn({200'001}, dtype)}) all.push_back(x.to_vector<double>());
    all.push_back(randint(-5, 100, {200'001}).to_vector<double>());
    all.push_back(bernoulli({200'001}, 0.3).to_vector<double>());
    all.push_back(randperm(50'000).to_vector<double>());
    all.push_back(dropout(ones({200'001}), 0.4).to_vector<double>());
  }
  set_num_threads(before);
  CHECK(drawn[0] == drawn[1]);
}

TEST_CASE("random: threads that share a generator draw different numbers") {
  Generator generator(1);
  std::vector<Tensor> drawn(4);
  {
    std::vector<std::jthread> threads;
    for (Tensor& x : drawn) threads.emplace_back([&] { x = rand({1000}, float64, generator); });
  }
  for (size_t i = 0; i < drawn.size(); ++i)
    for (size_t j = 0; j < i; ++j) CHECK(checks::distance(drawn[i], drawn[j]) > 0.5);
}

TEST_CASE("random: uniform and normal numbers have the moments that they should") {
  manual_seed(1);
  for (Dtype dtype : {float32, float64}) {
    const Tensor u = rand({many}, dtype);
    CHECK(amin(u).item() >= 0);
    CHECK(amax(u).item<double>() < 1);
    const Moments uniform_moments = moments(u), normal_moments = moments(randn({many}, dtype));
    CHECK(uniform_moments.mean == doctest::Approx(0.5).epsilon(0.005));
    CHECK(uniform_moments.variance == doctest::Approx(1. / 12).epsilon(0.01));
    CHECK(uniform_moments.kurtosis == doctest::Approx(1.8).epsilon(0.01));
    CHECK(std::fabs(normal_moments.mean) < 0.006);
    CHECK(normal_moments.variance == doctest::Approx(1).epsilon(0.01));
    CHECK(std::fabs(normal_moments.skewness) < 0.02);
    CHECK(normal_moments.kurtosis == doctest::Approx(3).epsilon(0.02));
  }
  const Moments shifted = moments(normal({many}, -3, 0.5));
  CHECK(shifted.mean == doctest::Approx(-3).epsilon(0.001));
  CHECK(shifted.variance == doctest::Approx(0.25).epsilon(0.01));
  const Tensor v = uniform({many}, -2, 6);
  CHECK(amin(v).item() >= -2);
  CHECK(amax(v).item() <= 6);
  CHECK(moments(v).mean == doctest::Approx(2).epsilon(0.01));
}

TEST_CASE("random: neighbours are not correlated") {
  manual_seed(2);
  const std::vector<double> x = randn({many}, float64).to_vector<double>();
  for (size_t lag : {1, 2, 3, 4}) {
    double product = 0;
    for (size_t i = lag; i < x.size(); ++i) product += x[i] * x[i - lag];
    CHECK(std::fabs(product / double(many)) < 0.01);
  }
}

TEST_CASE("random: integers, permutations and truth values") {
  manual_seed(3);
  const std::vector<int> n = randint(-2, 3, {many}).to_vector<int>();
  for (int value = -2; value < 3; ++value)
    CHECK(double(std::count(n.begin(), n.end(), value)) == doctest::Approx(many / 5.).epsilon(0.02));
  CHECK(*std::max_element(n.begin(), n.end()) == 2);
  CHECK(randint(5, 6, {100}).to_vector<int>() == std::vector<int>(100, 5));

  std::vector<int> order = randperm(1000).to_vector<int>();
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  CHECK(order == arange(1000).to_vector<int>());
  std::vector<int> first(4);
  for (int i = 0; i < 4000; ++i) ++first[size_t(randperm(4).at(0))];
  for (int count : first) CHECK(count == doctest::Approx(1000).epsilon(0.12));

  CHECK(sum(bernoulli({many}, 0.3)).item<double>() == doctest::Approx(0.3 * many).epsilon(0.01));
  CHECK(sum(bernoulli({100}, 0)).item() == 0);
  CHECK(sum(bernoulli({100}, 1)).item() == 100);
  CHECK(rand({0, 3}).numel() == 0);
  CHECK(randperm(0).numel() == 0);
}

TEST_CASE("random: dropout keeps the mean and uses the same mask backward") {
  manual_seed(4);
  const Tensor x = ones({many}).requires_grad(), y = dropout(x, 0.25);
  const double kept = sum(y > 0).item<double>();
  CHECK(kept / double(many) == doctest::Approx(0.75).epsilon(0.01));
  CHECK(amax(y).item() == doctest::Approx(1 / 0.75));
  sum(y).backward();
  CHECK(checks::distance(x.grad(), y) == 0);
  CHECK(dropout(x, 0.25, false).is(x));
  CHECK(sum(dropout(x, 1)).item() == 0);
}

TEST_CASE("random: what cannot be drawn is an error") {
  CHECK(error_here([] { rand({2}, int64); }) == "uniform: random real numbers need a floating-point dtype, not int64");
  CHECK(error_here([] { randn({2}, boolean); }) == "normal: random real numbers need a floating-point dtype, not bool");
  CHECK(error_here([] { randint(3, 3, {2}); }) == "randint: there is no integer from 3 up to but excluding 3");
  CHECK(error_here([] { bernoulli({2}, 1.5); }) == "bernoulli: 1.500000 is not a probability");
  CHECK(error_here([] { dropout(ones({2}), -1); }) == "dropout: p must be a probability, not -1.000000 (here)");
}
