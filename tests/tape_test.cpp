#include "core/tape.h"

#include <doctest/doctest.h>

#include <sstream>
#include <stdexcept>

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::distance, checks::error_here;

TEST_CASE("tape: gradients accumulate in the leaves") {
  const checks::NoLeaks no_leaks;
  const Tensor x = tensor({1, 2, 3}).requires_grad(), w = tensor({4, 5, 6}).requires_grad();
  CHECK_FALSE(x.grad().defined());
  const Tensor y = sum(x * w);
  CHECK(y.needs_grad());
  CHECK_FALSE(y.is_leaf());
  y.backward({.retain_graph = true});
  CHECK(x.grad().to_vector<int>() == std::vector{4, 5, 6});
  CHECK(w.grad().to_vector<int>() == std::vector{1, 2, 3});
  y.backward();
  CHECK(x.grad().to_vector<int>() == std::vector{8, 10, 12});
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
  sum(x * w * w).backward();
  CHECK(x.grad().to_vector<int>() == std::vector{16, 25, 36});
  CHECK(w.grad().to_vector<int>() == std::vector{2 + 8, 4 + 20, 6 + 36});
}

TEST_CASE("tape: a gradient that was handed out does not change when more is added") {
  const Tensor x = tensor({1, 2}).requires_grad();
  sum(x * 3).backward();
  const Tensor first = x.grad();
  sum(x * 4).backward();
  CHECK(first.to_vector<int>() == std::vector{3, 3});
  CHECK(x.grad().to_vector<int>() == std::vector{7, 7});
}

TEST_CASE("tape: a tensor used twice, and an input of a step twice") {
  const Tensor x = tensor({2, 3}).requires_grad();
  const Tensor y = x * x;  // used twice below
  sum(y * y + y).backward();
  CHECK(x.grad().to_vector<int>() == std::vector{4 * 8 + 4, 4 * 27 + 6});
  // Siblings that share one incoming gradient must not write into each other's.
  const Tensor a = tensor({1}).requires_grad(), b = tensor({1}).requires_grad();
  const Tensor s = a + b;
  sum(s + a + s).backward();
  CHECK(a.grad().item() == 3);
  CHECK(b.grad().item() == 2);
}

TEST_CASE("tape: a gradient for a result of any shape") {
  const Tensor x = tensor({1, 2}).requires_grad();
  (x * x).backward(tensor({10, 100}));
  CHECK(x.grad().to_vector<int>() == std::vector{20, 400});
  CHECK(error_here([&] {
          (x * x).backward(tensor({1, 1, 1}));
        }) == "backward: the output has shape [2] and its gradient [3] (here)");
}

TEST_CASE("tape: derivatives of any order") {
  const checks::NoLeaks no_leaks;
  const Tensor x = Tensor(2, float64).requires_grad();
  Tensor y = x * x * x * x;
  for (double expected : {32., 48., 48., 24.}) {
    y = grad(y, x, {.create_graph = true});
    CHECK(y.item() == expected);
  }
  CHECK_FALSE(x.grad().defined());

  // A gradient penalty: the gradient of a norm of a gradient, added to .grad of the leaf.
  const Tensor w = tensor({0.5, -1}, float64).requires_grad();
  const Tensor slope = grad(sum(sin(w)), w, {.create_graph = true});
  sum(slope * slope).backward();
  CHECK(distance(w.grad(), tensor({-std::sin(1.), std::sin(2.)}, float64)) < 1e-15);
}

TEST_CASE("tape: grad() leaves .grad alone, and reaches results of steps and several outputs") {
  const Tensor x = tensor({1, 2}).requires_grad(), w = tensor({3, 4}).requires_grad();
  const Tensor unused = tensor({1}).requires_grad();
  const Tensor h = x * w, y = sum(h * h);
  const std::vector<Tensor> g = grad({y}, {h, x, unused});
  CHECK(g[0].to_vector<int>() == std::vector{6, 16});
  CHECK(g[1].to_vector<int>() == std::vector{18, 64});
  CHECK_FALSE(g[2].defined());
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());

  const std::vector<Tensor> two = grad({sum(x), x * w}, {x}, {}, {Tensor(1), tensor({1, 10})});
  CHECK(two[0].to_vector<int>() == std::vector{4, 41});
  CHECK(error_here([&] {
          grad({sum(x), x * w}, {x}, {}, {Tensor(1)});
        }) == "grad: 2 outputs need as many grad_outputs, not 1 (here)");
  CHECK(error_here([&] { grad(sum(x * w), tensor({1})); }) ==
        "grad: an input does not require a gradient: call requires_grad() on it before using it (here)");
}

TEST_CASE("tape: NoGrad, detach and requires_grad(false) stop gradients") {
  const Tensor x = tensor({1, 2}).requires_grad();
  {
    const NoGrad off;
    CHECK_FALSE((x * 2).needs_grad());
    {
      const GradMode on(true);
      CHECK((x * 2).needs_grad());
    }
    CHECK_FALSE(grad_enabled());
  }
  CHECK(grad_enabled());
  const Tensor d = (x * 3).detach();
  CHECK_FALSE(d.needs_grad());
  sum(x * d).backward();
  CHECK(x.grad().to_vector<int>() == std::vector{3, 6});
  const Tensor frozen = tensor({1, 2}).requires_grad().requires_grad(false);
  CHECK_FALSE(sum(frozen).needs_grad());
  CHECK_FALSE((tensor({1}) > 0).needs_grad());
}

TEST_CASE("tape: what cannot be differentiated is an error") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor y = x * 2;
  CHECK(error_here([&] { y.requires_grad(false); }) ==
        "requires_grad: only leaves can be switched; this tensor is the result of mul (here)");
  CHECK(error_here([&] { arange(3).requires_grad(); }) ==
        "requires_grad: only floating-point tensors have gradients; this one is int64 (here)");
  CHECK(error_here([&] { y.backward(); }) ==
        "backward: the output has shape [2]; gradients start from a scalar: use mean(...) or sum(...), or pass the "
        "gradient of the output (here)");
  CHECK(
      error_here([&] { sum(x.detach()).backward(); }) ==
      "backward: no gradient flows to the output: it does not depend on a tensor that requires one, or it was computed "
      "under NoGrad (here)");
  CHECK(error_here([&] { x.set_grad(tensor({1})); }) == "set_grad: the tensor has shape [2] and the gradient [1]");
  CHECK(error_here([&] { tensor({1}).retain_grad(); }) == "retain_grad: no gradient flows to this tensor");
  CHECK(error_here([&] { tensor({1}).register_hook({}); }) == "register_hook: no gradient flows to this tensor");
}

TEST_CASE("tape: retain_grad keeps the gradient of a result") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor h = (x * 3).retain_grad(), y = sum(h * h);
  y.backward({.retain_graph = true});
  CHECK(h.grad().to_vector<int>() == std::vector{6, 12});
  y.backward();
  CHECK(h.grad().to_vector<int>() == std::vector{12, 24});
  CHECK_FALSE(y.grad().defined());
}

TEST_CASE("tape: hooks see the whole gradient once and may replace it") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor h = x * 3;
  std::vector<std::vector<int>> seen;
  h.register_hook([&](const Tensor& g) {
    seen.push_back(g.to_vector<int>());
    return g * 10;
  });
  h.register_hook([&](const Tensor& g) {
    seen.push_back(g.to_vector<int>());
    return Tensor();
  });
  x.register_hook([&](const Tensor& g) {
    seen.push_back(g.to_vector<int>());
    return g + 1;
  });
  sum(h + h + x).backward();
  CHECK(seen == std::vector<std::vector<int>>{{2, 2}, {20, 20}, {61, 61}});
  CHECK(x.grad().to_vector<int>() == std::vector{62, 62});
}

TEST_CASE("tape: a pass that a hook starts over the same steps is one of its own, also if it fails") {
  const Tensor x = tensor({1, 2, 3}).requires_grad();
  const Tensor h = x * x, early = h * 3, late = h * 5, other = sum(h), broken = h * 2, failing = sum(broken + h);
  broken.register_hook([](const Tensor&) -> Tensor { throw std::runtime_error("from a hook"); });
  std::vector<int> inside;
  early.register_hook([&](const Tensor&) {  // the gradient that h got from `late` waits meanwhile
    CHECK_THROWS_WITH(grad(failing, x, {.retain_graph = true}), "from a hook");
    inside = grad(other, x, {.retain_graph = true}).to_vector<int>();
    return Tensor();
  });
  sum(early + late).backward();
  CHECK(inside == std::vector{2, 4, 6});
  CHECK(x.grad().to_vector<int>() == std::vector{16, 32, 48});
}

TEST_CASE("tape: a gradient that somebody holds is not written over by the one computed from it") {
  const Tensor x = tensor({1, 2, -3}).requires_grad(), seed = tensor({5, 6, 7});
  const Tensor a = square(x), b = relu(a).retain_grad(), c = exp(a * 0);
  Tensor held, detached;
  b.register_hook([&](const Tensor& g) {
    held = g;
    return Tensor();
  });
  c.register_hook([&](const Tensor& g) {
    detached = g.detach();
    return Tensor();
  });
  (b + c).backward(seed);
  for (const Tensor& gradient : {seed, held, detached, b.grad()})
    CHECK(gradient.to_vector<int>() == std::vector{5, 6, 7});
  CHECK(x.grad().to_vector<int>() == std::vector{10, 24, -42});
}

TEST_CASE("tape: a forward pass without a backward frees itself") {
  const checks::NoLeaks no_leaks;
  const Tensor w = rand({4, 4}).requires_grad();
  const int64_t before = Node::live();
  Tensor h = rand({4, 4});
  for (int i = 0; i < 20; ++i) {
    h = tanh(matmul(h, w)).detach();
    CHECK(Node::live() == before);
  }
}

TEST_CASE("tape: the steps can be listed, indexed and printed") {
  const Tensor x = rand({4, 3}).named("x"), w = rand({3, 2}).named("W").requires_grad();
  const Tensor target = rand({4, 2}), hidden = tanh(matmul(x, w));
  const int line = __LINE__;
  const Tensor loss = mean(square(hidden - target)).named("loss");
  const Tape tape(loss);
  REQUIRE(tape.size() == 5);
  CHECK(tape[0].operation() == std::string("matmul"));
  CHECK(tape[0].shape() == Shape{4, 2});
  CHECK(tape[0].where().line == line - 1);
  int64_t position = 0;
  for (const Ref<Node>& step : tape) {
    CHECK(step->position() > position);
    position = step->position();
  }
  const std::string first = "tape_test.cpp:" + std::to_string(line - 1),
                    second = "tape_test.cpp:" + std::to_string(line + 1);
  std::ostringstream text;
  text << tape;
  CHECK(text.str() ==
        "#  operation  formula          shape   where\n"
        "1  matmul     v1 = x · W       [4, 2]  " +
            first +
            "\n"
            "2  tanh       v2 = tanh(v1)    [4, 2]  " +
            first +
            "\n"
            "3  sub        v3 = v2 − const  [4, 2]  " +
            second +
            "\n"
            "4  square     v4 = v3²         [4, 2]  " +
            second +
            "\n"
            "5  mean       loss = mean(v4)  []      " +
            second + "\n");
  CHECK(Tape(x).empty());
}
