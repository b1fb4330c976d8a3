// The derivation of a gradient as a value: steps, rules, numbers, closed expressions, checks.

#include "derive/derivation.h"

#include <doctest/doctest.h>

#include <map>
#include <sstream>

#include "core/node.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "nn/transformer.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/checkpoint.h"
#include "ops/create.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/join.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/op_samples.h"

using namespace gradus;

namespace {

/// A formula whose gradient is wrong: 2·dy·x instead of 3·dy·x².
struct WrongCube {
  static constexpr Info info{"wrong_cube"};
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * formula::number<T>(2) * x; }
};

struct Example {
  Tensor x = tensor({{1, 2}, {3, 4}, {-1, 0.5}}).named("x");
  Tensor w = tensor({{0.5, -1, 2}, {1, 0.5, -1}}).named("W").requires_grad();
  Tensor w2 = tensor({{1, -0.5}, {0.25, 2}, {-1, 1}}).named("W2").requires_grad();
  Tensor target = tensor(std::vector<int64_t>{0, 1, 1}).named("t");

  Tensor loss() const { return cross_entropy(matmul(relu(matmul(x, w)), w2), target); }
};

struct Net {
  nn::Linear hidden{2, 3}, out{3, 2};
  GRADUS_FIELDS(hidden, out)
};

std::string rule_for(const Derivation& derivation, const std::string& name) {
  std::string rules;
  for (size_t step : derivation.contributors(derivation.find(name)))
    for (const Contribution& each : derivation.backward()[step].contributions)
      if (each.to == derivation.find(name)) rules += (each.first ? "= " : " += ") + to_text(each.rule);
  return rules;
}

std::string text(const Expansion& expansion) {
  std::ostringstream out;
  out << expansion;
  return out.str();
}

}  // namespace

TEST_CASE("derivation: steps forward and backward, with names, formulas, lines") {
  const Example net;
  const KeepValues keep;
  const Derivation derivation(net.loss());
  std::vector<std::string> forward;
  for (const ForwardStep& step : derivation.forward())
    forward.push_back(derivation.quantities()[step.result].name + " = " + to_text(step.formula));
  CHECK(forward ==
        std::vector<std::string>{"v1 = x · W", "v2 = max(v1, 0)", "v3 = v2 · W2", "L = cross_entropy(v3, t)"});
  CHECK(rule_for(derivation, "v3") == "= (softmax(v3) − onehot(t))/3");
  CHECK(rule_for(derivation, "v2") == "= dL/dv3 · W2ᵀ");
  CHECK(rule_for(derivation, "dL/dv1") == "= [v2 > 0]·dL/dv2");
  CHECK(rule_for(derivation, "W") == "= xᵀ · dL/dv1");
  const ForwardStep& step = derivation.forward()[1];
  CHECK(step.operation == "relu");
  CHECK(to_string(step.where).starts_with("derivation_test.cpp:"));
  CHECK(step.source == "Tensor loss() const { return cross_entropy(matmul(relu(matmul(x, w)), w2), target); }");
  CHECK(derivation.forward()[3].fused);
  CHECK_FALSE(step.fused);
  CHECK(derivation.size() == 8);
}

TEST_CASE("derivation: the numbers are those of backward(), to the last bit") {
  const Example net;
  const KeepValues keep;
  const Tensor loss = net.loss();
  const Derivation derivation(loss);
  const auto& quantities = derivation.quantities();
  CHECK(quantities[derivation.result()].value.item() == loss.item());
  loss.backward();
  for (const Tensor& leaf : {net.w, net.w2})
    CHECK(quantities[derivation.find(leaf.name())].gradient.to_vector<float>() == leaf.grad().to_vector<float>());
}

TEST_CASE("derivation: a tensor used twice shows both contributions, and their sum is its gradient") {
  const KeepValues keep;
  const Tensor x = tensor({1, 2, 3}).named("x").requires_grad();
  const Tensor loss = sum(x * exp(x));
  const Derivation derivation(loss);
  CHECK(rule_for(derivation, "x") == "= dL/dv2·v1 += dL/dv1·v1");
  const size_t index = derivation.find("x");
  std::vector<float> total(3);
  for (size_t step : derivation.contributors(index))
    for (const Contribution& each : derivation.backward()[step].contributions)
      if (each.to == index)
        for (int64_t i = 0; i < 3; ++i) total[size_t(i)] += each.value.at<float>(i);
  loss.backward();
  CHECK(total == x.grad().to_vector<float>());
}

TEST_CASE("derivation: closed expressions") {
  const Example net;
  const KeepValues keep;
  CHECK(text(expand(net.loss(), "W")) ==
        "dL/dW = xᵀ · ([v2 > 0]·(((softmax(v2 · W2) − onehot(t))/3) · W2ᵀ)), where\n"
        "  v2 = max(x · W, 0)");
  CHECK(text(expand(net.loss(), "dL/dW2", {.depth = 1})) ==
        "dL/dW2 = v2ᵀ · dL/dv3, where\n"
        "  v2 = max(v1, 0)\n"
        "  dL/dv3 = (softmax(v3) − onehot(t))/3\n"
        "  v1 = x · W\n"
        "  v3 = v2 · W2");
  const Tensor h = relu(matmul(net.x, net.w)).named("h");
  CHECK(text(expand(cross_entropy(matmul(h, net.w2), net.target), "W")) ==
        "dL/dW = xᵀ · ([h > 0]·(((softmax(h · W2) − onehot(t))/3) · W2ᵀ))");
  CHECK_THROWS_WITH_AS(expand(net.loss(), "Q"), doctest::Contains("there is no Q; the names are x, W, v1"), Error);
  CHECK_THROWS_WITH_AS(expand(net.loss(), "x"), doctest::Contains("no gradient flows to x"), Error);
  CHECK_THROWS_WITH_AS(expand(net.loss(), "W", {.depth = 0}), doctest::Contains("depth must be at least 1"), Error);
}

TEST_CASE("derivation: closed expressions have the value of the gradient") {
  // Evaluated with numbers in place of names: everything is a scalar here, so that any product is that of numbers.
  const KeepValues keep;
  const Tensor a = Tensor(0.7, float64).named("a").requires_grad(),
               b = Tensor(-1.3, float64).named("b").requires_grad();
  const Tensor loss = (a * b + square(b)) / (a + 2) - a * (b - a);
  const Derivation derivation(loss);
  for (const char* name : {"a", "b"}) {
    const Expansion expansion = derivation.expand(name);
    std::map<std::string, double> values{{"a", 0.7}, {"b", -1.3}};
    const std::function<double(const Formula&)> value = [&](const Formula& f) -> double {
      using Kind = Formula::Kind;
      const auto part = [&](size_t i) { return value(f.parts[i]); };
      switch (f.kind) {
        case Kind::number: return std::stod(f.text);
        case Kind::sum: return part(0) + part(1);
        case Kind::difference: return part(0) - part(1);
        case Kind::product: return part(0) * part(1);
        case Kind::quotient: return part(0) / part(1);
        case Kind::negation: return -part(0);
        case Kind::power: return part(0) * part(0);
        default: return values.at(to_text(f));
      }
    };
    for (size_t i = expansion.parts.size(); i-- > 0;)
      values[to_text(expansion.parts[i].symbol)] = value(expansion.parts[i].formula);
    CHECK(value(expansion.formula) ==
          doctest::Approx(derivation.quantities()[derivation.find(name)].gradient.item<double>()).epsilon(1e-12));
  }
}

TEST_CASE("derivation: checks point at the step whose rule is wrong") {
  const KeepValues keep;
  const Tensor x = tensor({1, 2, -3}).named("x").requires_grad();
  const Derivation right(sum(tanh(x) * x));
  for (size_t i = 0; i < right.forward().size(); ++i) CHECK(right.check_step(i));
  CHECK(right.check_gradient(right.find("x")));

  const Derivation wrong(sum(tanh(map(WrongCube{}, x * 0.5)) * x));
  for (size_t i = 0; i < wrong.forward().size(); ++i) {
    const bool planted = wrong.forward()[i].operation == "wrong_cube";
    CHECK(bool(wrong.check_step(i)) == !planted);
  }
  CHECK_FALSE(wrong.check_gradient(wrong.find("x")));
  CHECK(wrong.check_gradient(wrong.find("v2")));  // what comes after the wrong step is right
}

TEST_CASE("derivation: a fused step opens into its definition, with the same numbers") {
  const Example net;
  const KeepValues keep;
  const Derivation derivation(net.loss()), inner = derivation.open(3);
  const auto& outer_logits = derivation.quantities()[derivation.find("v3")];
  const auto& inner_logits = inner.quantities()[inner.find("v3")];
  CHECK(inner.forward().size() > 1);
  CHECK(inner.forward()[0].operation == "softmax");
  CHECK(inner.quantities()[inner.result()].name == "L");
  CHECK(checks::distance(inner_logits.gradient, outer_logits.gradient) < 1e-6);
  CHECK_THROWS_WITH_AS(derivation.open(1), doctest::Contains("relu has no definition in simpler operations"), Error);
}

TEST_CASE("derivation: names of modules, and steps grouped by them") {
  const Net net;
  parameters(net);
  const Example data;
  const KeepValues keep;
  const Derivation derivation(cross_entropy(net.out(relu(net.hidden(data.x))), data.target));
  CHECK(derivation.quantities()[derivation.find("hidden.weight")].gradient.defined());
  CHECK(derivation.forward()[0].module == "hidden");
  CHECK(derivation.forward()[2].module == "out");
}

TEST_CASE("derivation: of every operation, with its local check") {
  const KeepValues keep;
  const auto check = [](const std::string& call, const samples::Function& apply, std::vector<Tensor> x) {
    CAPTURE(call);
    default_generator().set_state({});
    const Tensor y = apply(x);
    if (!y.needs_grad() || y.is_leaf() || y.numel() == 0) return;
    const Derivation derivation(y, ones_like(y));
    std::vector<Tensor> wanted = samples::differentiable(x);
    const std::vector<Tensor> gradients = grad({y}, wanted, {.retain_graph = true}, {ones_like(y)});
    for (const Quantity& each : derivation.quantities())
      for (size_t k = 0; k < wanted.size(); ++k)
        if (each.name == wanted[k].name() && each.gradient.defined())
          CHECK(each.gradient.to_vector<double>() == gradients[k].to_vector<double>());
    for (const BackwardStep& step : derivation.backward()) {
      const std::string operation = derivation.forward()[step.forward].operation;
      CAPTURE(operation);
      for (const Contribution& each : step.contributions) CHECK_FALSE(to_text(each.rule).empty());
      const GradcheckResult result = derivation.check_step(step.forward);
      CAPTURE(result);
      CHECK((result || result.problem.starts_with("nothing was left")));
    }
  };
  for (const samples::Sample& sample : samples::op_samples()) {
    std::vector<Tensor> x = samples::leaves(samples::inputs(sample.shapes, sample.low, sample.high));
    for (size_t i = 0; i < x.size(); ++i) x[i] = x[i].named(sample.names()[i]);
    check(sample.call, sample.apply, x);
  }
  for (const Operation& operation : elementwise_operations()) {
    const std::vector<Shape> shapes(operation.arity, Shape{2, 3});
    check(operation.name, operation.apply, samples::leaves(samples::inputs(operation, shapes)));
  }
}

TEST_CASE("derivation: what cannot be shown is said") {
  const Example net;
  CHECK_THROWS_WITH_AS(Derivation(net.loss()), doctest::Contains("put `const KeepValues keep;` before"), Error);
  const KeepValues keep;
  CHECK_THROWS_WITH_AS(Derivation(matmul(net.x, net.w)), doctest::Contains("the derivation is that of a scalar"),
                       Error);
  CHECK_THROWS_WITH_AS(Derivation(sum(net.x)), doctest::Contains("no gradient flows to the result"), Error);
  const Tensor loss = net.loss();
  loss.backward();
  CHECK_THROWS_WITH_AS(Derivation{loss}, doctest::Contains("the steps were freed by backward()"), Error);
}

TEST_CASE("derivation: values are those of the time of recording") {
  const KeepValues keep;
  Tensor w = tensor({1, 2}).named("w").requires_grad();
  const Tensor first = sum(exp(w));
  {
    const NoGrad off;
    w.mutable_data<float>()[0] = 5;
  }
  const Derivation before(first);
  CHECK(before.quantities()[before.find("w")].value.to_vector<float>() == std::vector<float>{1, 2});
  const Tensor second = sum(exp(w));
  const Derivation after(second);
  CHECK(after.quantities()[after.find("w")].value.to_vector<float>() == std::vector<float>{5, 2});
  CHECK_THROWS_WITH_AS(Derivation{first}, doctest::Contains("the values of w have changed since the step exp"), Error);
}

TEST_CASE("derivation: without KeepValues, steps keep no numbers") {
  const Example net;
  const Tensor loss = net.loss();
  CHECK_FALSE(loss.node()->value().defined());
  CHECK_FALSE(net.w.node()->value().defined());
}
