// Walks op_samples(): every operation that is not elementwise, its values, gradients, dtypes and layouts.

#include "tests/op_samples.h"

#include <doctest/doctest.h>

#include "core/tape.h"
#include "derive/gradcheck.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;
using namespace gradus::samples;
using checks::distance;

namespace {

const std::vector<Sample> sample_list = op_samples();

std::vector<Tensor> inputs(const Sample& sample) { return samples::inputs(sample.shapes, sample.low, sample.high); }

// A gradient for a result, the same whenever it is asked for and in every dtype.
Tensor grad_output(const Tensor& y) {
  Generator generator(9);
  return to(uniform(y.shape(), 0.5, 1.5, bfloat16, generator), y.dtype());
}

std::vector<Tensor> gradients(const Function& f, Inputs x, bool create_graph = false) {
  const Tensor y = f(x);
  return grad({y}, differentiable(x), {.create_graph = create_graph}, {grad_output(y)});
}

void check_close(Inputs found, Inputs expected, double allowed) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(distance(found[i], expected[i]) <= allowed);
}

}  // namespace

TEST_CASE("operations: values agree with their definition in simpler ones") {
  manual_seed(1);
  for (const Sample& sample : sample_list) {
    if (!sample.plain) continue;
    CAPTURE(sample.call);
    const std::vector<Tensor> x = inputs(sample);
    CHECK(sample.apply(x).dtype() == float64);
    CHECK(distance(sample.apply(x), sample.plain(x)) < 1e-13);
    check_close(gradients(sample.apply, leaves(x)), gradients(sample.plain, leaves(x)), 1e-12);
    for (Dtype dtype : {float32, bfloat16}) {
      const std::vector<Tensor> narrow = converted(x, dtype);
      CHECK(distance(sample.apply(narrow), sample.plain(narrow)) < (dtype == float32 ? 1e-5 : 0.1));
    }
  }
}

TEST_CASE("operations: gradients and gradients of gradients") {
  manual_seed(2);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    CHECK(check_gradients(sample.apply, inputs(sample), {.second_order = true}));
  }
}

TEST_CASE("operations: float32 and bfloat16 agree with float64") {
  manual_seed(3);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    for (Dtype dtype : {float32, bfloat16}) {
      CAPTURE(to_string(dtype));
      const double allowed = dtype == float32 ? 2e-5 : 0.05;
      const std::vector<Tensor> x = converted(inputs(sample), dtype), exact = converted(x, float64);
      CHECK(sample.apply(x).dtype() == dtype);
      CHECK(distance(sample.apply(x), sample.apply(exact)) < allowed);
      const std::vector<Tensor> found = gradients(sample.apply, leaves(x));
      for (const Tensor& gradient : found) CHECK(gradient.dtype() == dtype);
      check_close(found, gradients(sample.apply, leaves(exact)), allowed);
    }
  }
}

TEST_CASE("operations: inputs of any layout give the same") {
  manual_seed(4);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    const std::vector<Tensor> x = inputs(sample);
    const auto check = [&](Inputs other, Inputs plain) {
      CHECK(distance(sample.apply(other), sample.apply(plain)) < 1e-13);
      check_close(gradients(sample.apply, leaves(other)), gradients(sample.apply, leaves(plain)), 1e-12);
    };
    for (const std::vector<Tensor>& other : layouts(x)) check(other, x);
    check(repeated(x), layouts(repeated(x))[2]);
    for (const std::vector<Tensor>& other : layouts(converted(x, float32)))
      CHECK(distance(sample.apply(other), sample.apply(x)) < 1e-5);
  }
}

TEST_CASE("operations: recording the backward pass does not change the gradients") {
  manual_seed(5);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    const std::vector<Tensor> x = leaves(inputs(sample));
    check_close(gradients(sample.apply, x, true), gradients(sample.apply, x), 1e-13);
  }
}

TEST_CASE("operations: an input that needs no gradient gets none, and changes no other's") {
  manual_seed(6);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    const std::vector<Tensor> x = leaves(inputs(sample)), expected = gradients(sample.apply, x);
    for (size_t i = 0; i < x.size(); ++i) {
      std::vector<Tensor> one;
      for (size_t k = 0; k < x.size(); ++k) one.push_back(k == i ? x[k] : x[k].detach());
      check_close(gradients(sample.apply, one), std::vector{expected[i]}, 1e-13);
    }
    const std::vector<Tensor> none = converted(inputs(sample), float64);
    const int64_t before = Node::live();
    const Tensor y = sample.apply(none);
    CHECK_FALSE(y.needs_grad());
    CHECK(Node::live() == before);
  }
}

TEST_CASE("operations: gradients are added, and nothing is left behind") {
  manual_seed(7);
  for (const Sample& sample : sample_list) {
    CAPTURE(sample.call);
    const checks::NoLeaks no_leaks;
    const std::vector<Tensor> x = leaves(inputs(sample));
    const Tensor y = sample.apply(x), dy = grad_output(y);
    y.backward(dy, {.retain_graph = true});
    std::vector<Tensor> once;
    for (const Tensor& leaf : x) once.push_back(clone(leaf.grad()));
    y.backward(dy);
    for (size_t i = 0; i < x.size(); ++i) CHECK(distance(x[i].grad(), once[i] * 2) < 1e-15);
    const Tensor g = grad({sample.apply(x)}, x, {.create_graph = true}, {dy})[0];
    sample.apply(x);  // a step that no backward pass visits
  }
}
