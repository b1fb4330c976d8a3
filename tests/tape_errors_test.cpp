// Values that a backward pass can no longer trust, and the search for the step that made a NaN.

#include <doctest/doctest.h>

#include <functional>

#include "core/tape.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/checkpoint.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using checks::error_here;

namespace {

void backward_twice(const Tensor& y) {
  y.backward();
  y.backward();
}

void change_before_backward(const Tensor& x, const Tensor& y) {
  fill(x, 5);
  y.backward();
}

Tensor with_change(const Tensor& x) {
  x.storage()->bump_version();
  return x;
}

Tensor with_hook(const Tensor& x, std::function<Tensor(const Tensor&)> hook) {
  x.register_hook(std::move(hook));
  return x;
}

}  // namespace

TEST_CASE("tape: a second backward pass needs retain_graph") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor y = sum(x * x);
  y.backward({.retain_graph = true});
  y.backward();
  CHECK(error_here([&] { backward_twice(sum(exp(x))); }) ==
        "exp: the values that it saved were freed by an earlier backward pass; pass {.retain_graph = true} to that one "
        "(here)");
  backward_twice(sum(x + x));  // saves nothing, so nothing is missing
  const Tensor z = sum(exp(x) * x);
  grad(z, x, {.create_graph = true});  // implies retain_graph
  z.backward();
}

TEST_CASE("tape: backward frees what the steps saved at once") {
  const Tensor x = rand({100}).requires_grad();
  const int64_t before = Storage::live();
  const Tensor y = sum(exp(x) * sigmoid(x));
  CHECK(Storage::live() == before + 3);  // the result, and the outputs of exp and sigmoid
  y.backward();
  CHECK(Storage::live() == before + 2);  // the result and the gradient
}

TEST_CASE("tape: a saved tensor that was changed in place is reported with its step") {
  const Tensor w = tensor({1, 2}).requires_grad(), x = tensor({3, 4});
  CHECK(error_here([&] { change_before_backward(x, sum(w * x)); }) ==
        "mul: a tensor that it saved for the backward pass was changed in place afterwards; change a copy: clone(x) "
        "(here)");
  CHECK(error_here([&] { sum(with_change(exp(w))).backward(); }) ==
        "exp: a tensor that it saved for the backward pass was changed in place afterwards; change a copy: clone(x) "
        "(here)");
}

TEST_CASE("tape: whether a gradient is wanted is decided when a step is recorded") {
  const Tensor w = tensor({2}).requires_grad(), x = tensor({3}).requires_grad();
  x.requires_grad(false);
  const Tensor y = sum(w * x);  // saves x for the gradient of w, but not w
  x.requires_grad();
  y.backward();
  CHECK(w.grad().item() == 3);
  CHECK(!x.grad().defined());

  const Tensor rows = tensor({{1, 2, 4}}), weight = ones({3}).requires_grad();
  const auto product = [](const Tensor& a, const Tensor& b) { return a * b; };
  const Tensor normalized = sum(square(layer_norm(rows, {3}, weight, zeros({3})))),
               recomputed = sum(checkpoint(product, rows, weight));
  rows.requires_grad();
  normalized.backward({.create_graph = true});
  recomputed.backward();
  CHECK(weight.grad().defined());
  CHECK(!rows.grad().defined());
}

TEST_CASE("tape: changes through a view and of what no step saved") {
  const Tensor w = tensor({1, 2}).requires_grad(), x = tensor({{3, 4}, {5, 6}});
  const Tensor y = sum(w * x);
  fill(select(x, 0, 1), 9);
  CHECK(error_here([&] { y.backward(); }).starts_with("mul: a tensor that it saved"));
  const Tensor z = sum(w + x);
  fill(x, 1);
  z.backward();
  CHECK(w.grad().to_vector<int>() == std::vector{2, 2});
}

TEST_CASE("tape: only leaves outside of recording can be changed in place") {
  Tensor w = tensor({1, 2}).requires_grad();
  CHECK(error_here([&] { fill(w, 1); }) ==
        "fill: a tensor that requires a gradient can be changed in place only inside a NoGrad (here)");
  CHECK(error_here([&] { w.mutable_data<float>(); }) ==
        "mutable_data: a tensor that requires a gradient can be changed in place only inside a NoGrad");
  Tensor y = w * 2;
  CHECK(error_here([&] {
          assign(y, tensor({1, 2}));
        }) == "assign: only leaves can be changed in place, and the target is the result of mul (here)");
  CHECK(error_here([&] { y.mutable_data<float>(); }) ==
        "mutable_data: only leaves can be changed in place, and this tensor is the result of a recorded step");
  const NoGrad off;
  w.mutable_data<float>()[0] = 7;
  fill(select(w, 0, 1), 8);
  CHECK(w.to_vector<int>() == std::vector{7, 8});
}

TEST_CASE("tape: DetectAnomaly does not look at gradients that nobody wants") {
  const DetectAnomaly detect;
  const Tensor x = full({3}, 1e-3).requires_grad(), w = full({3}, 1e-3);
  sum(x * w * 1e20).backward({.create_graph = true});
  CHECK(x.grad().at(0) > 1e16);
}

TEST_CASE("tape: DetectAnomaly names the step and the line, forward and backward") {
  const Tensor x = tensor({1, 0, -1}).requires_grad();
  {
    const DetectAnomaly detect;
    CHECK(error_here([&] { log(x); }) == "log: the result has an infinity at element 1 of [3] (here)");
    CHECK(error_here([&] { log(x - 5); }) == "log: the result has a NaN at element 0 of [3] (here)");
    CHECK(error_here([&] { sum(sqrt(x * x)).backward(); }) ==
          "sqrt: its backward has an infinity at element 1 of [3] (here)");
    CHECK(DetectAnomaly::enabled());
  }
  CHECK_FALSE(DetectAnomaly::enabled());
  CHECK(std::isinf(log(x).at(1)));
}

TEST_CASE("tape: after an error in a backward pass the graph can be used again") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor h = x * 2, y = sum(h * h);
  bool broken = true;
  h.register_hook([&](const Tensor&) -> Tensor {
    if (broken) throw std::runtime_error("from a hook");
    return {};
  });
  CHECK_THROWS_WITH(y.backward({.retain_graph = true}), "from a hook");
  broken = false;
  y.backward();
  CHECK(x.grad().to_vector<int>() == std::vector{8, 16});
}

TEST_CASE("tape: gradients of another shape or dtype are errors") {
  const Tensor x = tensor({1, 2}).requires_grad();
  CHECK(error_here([&] { sum(with_hook(x * 2, [](const Tensor&) { return tensor({1}); })).backward(); }) ==
        "mul: a hook gave a gradient of shape [1] for a tensor of shape [2] (here)");
  CHECK(error_here([&] { sum(with_hook(x * 2, [](const Tensor&) { return arange(2); })).backward(); }) ==
        "mul: a hook gave a gradient of dtype int64 for a tensor of dtype float32 (here)");
  CHECK(error_here([&] {
          (x * 2).backward(tensor({1, 1}, float64));
        }) == "backward: the output holds float32 and its gradient float64 (here)");
  CHECK(error_here([&] { x.set_grad(arange(2)); }) == "set_grad: the tensor holds float32 and the gradient int64");
}
