#include "derive/gradcheck.h"

#include <doctest/doctest.h>

#include <sstream>

#include "core/tape.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

namespace {

// A user's own formula: right, wrong in the gradient, and wrong only in the gradient of the gradient.
struct Cube {
  static constexpr Info info{"cube"};
  double factor = 3;
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * formula::number<T>(factor) * x * x; }
};

// Its backward stops the gradient of the gradient.
struct Stopped {
  static constexpr Info info{"stopped", "$0³"};
  Tensor forward(const Tensor& x) const { return x * x * x; }
  Tensor backward(const Tensor& dy, const Tensor& x) const { return dy * 3 * square(x.detach()); }
};

// Its gradient is right only when the backward pass is not recorded.
struct Doubled {
  static constexpr Info info{"doubled", "$0²"};
  Tensor forward(const Tensor& x) const { return square(x); }
  Tensor backward(const Tensor& dy, const Tensor& x) const { return dy * x * (grad_enabled() ? 4 : 2); }
};

// The sum of x, from which a part falls out: its gradient there is what rounding leaves of dy − dy.
struct Leftover {
  static constexpr Info info{"leftover"};
  double left;
  Tensor forward(const Tensor& x) const { return sum(slice(x, 0, 1)); }
  Tensor backward(const Tensor& dy, const Tensor& x) const { return where(arange(x.numel()) > 0, dy, dy * left); }
};

std::string text_of(const GradcheckResult& result) {
  std::ostringstream text;
  text << result;
  return text.str();
}

}  // namespace

TEST_CASE("gradcheck: right gradients pass, of any number of inputs and any shape of result") {
  manual_seed(1);
  const Tensor x = randn({3, 4}), w = randn({4, 2}), b = randn({2});
  CHECK(gradcheck([](auto a) { return a * a; }, x));
  CHECK(gradcheck([](auto a, auto c, auto d) { return tanh(matmul(a, c) + d); }, x, w, b));
  CHECK(gradcheck([](const Tensor& a) { return sum(exp(a)); }, {.second_order = true}, x));
  const GradcheckResult result = gradcheck([](auto a, auto c) { return matmul(a, c); }, x, w);
  CHECK(result.compared == 20);
  CHECK(result.skipped == 0);
  CHECK(gradcheck([](auto a) { return map(Cube{}, a); }, {.second_order = true}, x));
}

TEST_CASE("gradcheck: a wrong gradient is reported with input, element, both values and the user's line") {
  const Tensor x = tensor({1, 2, 3}).named("x"), w = tensor({{-1, 0.5}, {2, 3}}).named("W");
  const int line = __LINE__ + 1;
  const GradcheckResult result = gradcheck([](auto a, auto c) { return sum(a) * map(Cube{2}, c); }, x, w);
  CHECK_FALSE(result);
  CHECK(result.input == 1);
  CHECK(result.name == "W");
  CHECK(result.relative_error == doctest::Approx(1. / 3));
  CHECK(result.analytic / result.numeric == doctest::Approx(2. / 3));
  CHECK(result.where.line == line);
  CHECK(result.step == "cube (gradcheck_test.cpp:" + std::to_string(line) + ")");

  const Tensor two = tensor({2, 2}).named("W");
  const std::string here = "(gradcheck_test.cpp:" + std::to_string(__LINE__ + 1) + ")";
  const std::string text = text_of(gradcheck([](auto a) { return map(Cube{2}, slice(a, 0, 1)); }, two));
  CHECK(text.find("gradcheck failed " + here + ": input 0 (W), element [1]: analytic ") == 0);
  CHECK(text.find(", relative error 0.333333333; first used by slice " + here + "; 2 compared, 0 skipped") !=
        std::string::npos);
}

TEST_CASE("gradcheck: the smallest errors in a gradient are seen") {
  const Tensor x = uniform({5}, 0.5, 2);
  for (double factor : {3.00002, 2.99998, -3., 0.})
    CHECK_FALSE(gradcheck([&](auto a) { return map(Cube{factor}, a); }, x));
}

TEST_CASE("gradcheck: what rounding leaves of terms that cancel is forgiven, and no more") {
  const auto leaving = [](double left) { return [=](auto x) { return apply(Leftover{left}, x); }; };
  CHECK(gradcheck(leaving(1e-16), ones({3}, float64)));
  CHECK_FALSE(gradcheck(leaving(1e-12), ones({3}, float64)));
}

TEST_CASE("gradcheck: a missing gradient is wrong, not forgiven") {
  const Tensor x = randn({4});
  const GradcheckResult result = gradcheck([](auto a) { return a + square(a.detach()); }, x);
  CHECK_FALSE(result);
  CHECK(text_of(gradcheck([](auto a) { return square(a.detach()); }, x))
            .ends_with(": no gradient flows from the result to an input"));
}

TEST_CASE("gradcheck: the gradient of the gradient is checked, with respect to grad_output too") {
  const Tensor x = randn({4}).named("x");
  const auto f = [](auto a) { return apply(Stopped{}, a); };
  CHECK(gradcheck(f, x));
  const GradcheckResult result = gradcheck(f, {.second_order = true}, x);
  CHECK_FALSE(result);
  CHECK(result.order == 2);
  CHECK(result.name == "x");
  CHECK(result.analytic == 0);
  CHECK(text_of(result).find(", second order: analytic 0, numeric ") != std::string::npos);
}

TEST_CASE("gradcheck: kinks and jumps are skipped and counted") {
  const GradcheckResult result = gradcheck([](auto a) { return relu(a) + abs(a); }, tensor({-1, 0, 2, 0.00003}));
  CHECK(result);
  CHECK(result.compared == 2);
  CHECK(result.skipped == 2);
  CHECK(gradcheck([](auto a) { return floor(a); }, tensor({0.99996, 0.5})).skipped == 1);
  CHECK(gradcheck([](auto a) { return sqrt(a); }, tensor({0.00001, 0.5})).skipped == 1);
  CHECK(gradcheck([](auto a) { return amax(a); }, tensor({3, 1, 3})).skipped == 2);
}

TEST_CASE("gradcheck: it fails when nothing was left to compare") {
  const GradcheckResult result = gradcheck([](auto a) { return abs(a); }, zeros({3}));
  CHECK_FALSE(result);
  CHECK(text_of(result).ends_with(": nothing was left to compare, with 3 elements skipped"));
  CHECK_FALSE(gradcheck([](auto a) { return abs(a); }, zeros({0})));
}

TEST_CASE("gradcheck: large inputs are checked along random directions, and a wrong element is still found") {
  const Tensor x = randn({70, 70});
  const GradcheckResult good = gradcheck([](auto a) { return sum(sin(a), 1); }, {.second_order = true}, x);
  CHECK(good);
  CHECK(good.compared == 8 + 8 + 70);  // directions of x, then of x, and the elements of grad_output
  const Tensor small = randn({20, 3});
  CHECK(gradcheck([](auto a) { return sin(a); }, {.fast = true}, small).compared == 8);

  // Wrong only for one element.
  const auto f = [](auto a) {
    const Tensor mask = reshape(one_hot(tensor(std::vector<int>{4321}), 4900), {70, 70}) == 1;
    return where(mask, map(Cube{2.9}, a), map(Cube{}, a));
  };
  const GradcheckResult bad = gradcheck(f, x);
  CHECK_FALSE(bad);
  CHECK(bad.element == Shape{61, 51});
}

TEST_CASE("gradcheck: int64 and bool inputs are passed on, random numbers repeat") {
  const Tensor x = randn({5, 3}), rows = randint(0, 5, {4}), mask = bernoulli({5, 3}, 0.5);
  CHECK(gradcheck(
      [](auto a, auto index, auto m) {
        CHECK(index.dtype() == int64);
        CHECK(m.dtype() == boolean);
        return index_select(where(m, a, a * a), 0, index);
      },
      x, rows, mask));
  CHECK(gradcheck([](auto a) { return dropout(a * a, 0.5); }, x));
}

TEST_CASE("gradcheck: it leaves the inputs and the grad mode alone") {
  const checks::NoLeaks no_leaks;
  const Tensor x = randn({3}).requires_grad();
  {
    const NoGrad off;
    CHECK(gradcheck([](auto a) { return a * a; }, {.second_order = true}, x));
    CHECK_FALSE(grad_enabled());
  }
  CHECK_FALSE(x.grad().defined());
  CHECK(x.dtype() == float32);
}

TEST_CASE("gradcheck: what cannot be checked is an error") {
  const Tensor x = randn({3}), n = arange(3);
  CHECK(error_here([&] { gradcheck([](auto a) { return to(a, float32); }, x); }) ==
        "gradcheck: the function gave float32; differences are accurate only where everything is computed in float64 "
        "(here)");
  CHECK(error_here([&] { gradcheck([](auto a) { return a * a; }, n); }) ==
        "gradcheck: no input is a floating-point tensor (here)");
  CHECK(error_here([&] {
          gradcheck([](auto a) { return slice(a, 0, a.at(0) > 0.5 ? 0 : 1); }, tensor({0.5, 1}));
        }) == "gradcheck: the shape of the function's result depends on the values of its inputs (here)");
}

TEST_CASE("gradcheck: a function that changes between runs, and a backward pass that does when it is recorded") {
  int runs = 0;
  CHECK(text_of(gradcheck([&](auto a) { return a * ++runs; }, tensor({1, 2})))
            .ends_with(": the function does not give the same result twice"));
  CHECK(text_of(gradcheck([](auto a) { return apply(Doubled{}, a); }, {.second_order = true}, tensor({1, 2})))
            .ends_with(": the backward pass gives other gradients when it is recorded"));
}
