// Gradient checkpointing: a step that keeps its inputs and computes again.

#include <doctest/doctest.h>

#include "core/tape.h"
#include "derive/gradcheck.h"
#include "nn/linear.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/checkpoint.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

using namespace gradus;

namespace {

struct Layers {
  nn::Linear first{4, 8}, second{8, 3};
  Tensor operator()(const Tensor& x) const { return second(tanh(first(x))); }
};

std::vector<std::vector<float>> gradients(const Layers& net, const std::vector<Tensor>& leaves) {
  std::vector<std::vector<float>> values;
  for (const Tensor& leaf : {net.first.weight, net.first.bias, net.second.weight, net.second.bias})
    values.push_back(leaf.grad().to_vector<float>()), leaf.set_grad({});
  for (const Tensor& leaf : leaves) values.push_back(leaf.grad().to_vector<float>()), leaf.set_grad({});
  return values;
}

}  // namespace

TEST_CASE("a checkpoint gives the same gradients, those of parameters it captures included") {
  manual_seed(3);
  const Layers net;
  const Tensor x = randn({5, 4}).requires_grad(), data = randn({5, 4});
  sum(square(net(x))).backward();
  const auto expected = gradients(net, {x});
  sum(square(checkpoint(net, x))).backward();
  CHECK(gradients(net, {x}) == expected);

  sum(square(net(data))).backward();
  const auto without_input = gradients(net, {});
  sum(square(checkpoint(net, data))).backward();  // no input of the step needs a gradient, the parameters do
  CHECK(gradients(net, {}) == without_input);
}

TEST_CASE("a checkpoint's gradient reaches steps that its function captured") {
  const Tensor x = tensor({1, 2}).requires_grad();
  const Tensor inner = x * 3;
  const Tensor y = sum(checkpoint([&](const Tensor& a) { return a * inner; }, tensor({4, 5})));
  y.backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{12, 15});
}

TEST_CASE("a checkpoint uses the same random numbers again, and leaves the generator where it was") {
  manual_seed(5);
  const Tensor x = ones({64}).requires_grad();
  const Tensor y = checkpoint([](const Tensor& a) { return dropout(a, 0.5); }, x);
  const GeneratorState after = default_generator().state();
  sum(y).backward();
  CHECK(x.grad().to_vector<float>() == y.to_vector<float>());
  CHECK(default_generator().state() == after);
}

TEST_CASE("a checkpoint keeps only its inputs, and can be differentiated twice") {
  const Tensor x = randn({100}).requires_grad();
  const int64_t before = Storage::live();
  const auto chain = [](const Tensor& a) { return tanh(tanh(tanh(tanh(a)))); };
  const Tensor y = checkpoint(chain, x);
  CHECK(Storage::live() == before + 1);
  CHECK(gradcheck([&](const Tensor& a) { return checkpoint(chain, a); }, {.second_order = true}, randn({6})));
}

TEST_CASE("a checkpoint without a gradient is not recorded; a second backward says why it cannot be") {
  CHECK(!checkpoint([](const Tensor& a) { return a * 2; }, ones({2})).needs_grad());
  const Tensor y = sum(checkpoint([](const Tensor& a) { return a * a; }, ones({2}).requires_grad()));
  y.backward();
  CHECK_THROWS_WITH_AS(
      y.backward(),
      "checkpoint: the values that it saved were freed by an earlier backward pass; pass {.retain_graph = "
      "true} to that one (recompute_test.cpp:78)",
      Error);
}
