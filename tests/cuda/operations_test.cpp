// Every operation on the GPU (or the emulated one) against the CPU: values, gradients and gradients of gradients.

#include "ops/operations.h"

#include <doctest/doctest.h>

#include "core/cuda.h"
#include "core/tape.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/op_samples.h"

using namespace gradus;
using namespace gradus::samples;

namespace {

const Device gpu = Device::cuda();

// Copies on the device in the same layout.
std::vector<Tensor> on_gpu(Inputs x) {
  std::vector<Tensor> copies;
  for (const Tensor& each : x) copies.push_back(each.copied_to(gpu));
  return copies;
}

Tensor grad_output(const Tensor& y) {
  Generator generator(9);
  return to(to(uniform(y.shape(), 0.5, 1.5, bfloat16, generator), y.dtype()), y.device());
}

// The value, the gradients, and the gradients of the sum of their squares.
struct Results {
  Tensor y;
  std::vector<Tensor> first, second;
};
Results results(const Function& f, Inputs inputs, bool second_order) {
  const std::vector<Tensor> x = leaves(inputs), wanted = differentiable(x);
  Results found{f(x), {}, {}};
  if (!found.y.needs_grad()) return found;
  found.first = grad({found.y}, wanted, {.create_graph = second_order}, {grad_output(found.y)});
  if (!second_order) return found;
  Tensor total;
  for (const Tensor& g : found.first)
    if (g.defined() && g.needs_grad()) total = total.defined() ? total + sum(g * g) : sum(g * g);
  if (total.defined()) found.second = grad({total}, wanted);
  return found;
}

void check_same(const Tensor& found, const Tensor& expected, double allowed) {
  REQUIRE(found.defined() == expected.defined());
  if (!found.defined()) return;
  CHECK(found.device() == gpu);
  CHECK(found.dtype() == expected.dtype());
  CHECK(checks::distance(to(found.detach(), Device::cpu()), expected.detach()) <= allowed);
}

int cases = 0;

void compare(const Function& f, Inputs x, Dtype dtype) {
  ++cases;
  const bool second_order = dtype == float64;
  const double allowed = dtype == float64 ? 1e-11 : dtype == float32 ? 1e-4 : 0.05;
  const Results expected = results(f, x, second_order), found = results(f, on_gpu(x), second_order);
  check_same(found.y, expected.y, allowed);
  REQUIRE(found.first.size() == expected.first.size());
  for (size_t i = 0; i < found.first.size(); ++i) check_same(found.first[i], expected.first[i], allowed);
  REQUIRE(found.second.size() == expected.second.size());
  for (size_t i = 0; i < found.second.size(); ++i) check_same(found.second[i], expected.second[i], 100 * allowed);
}

}  // namespace

TEST_CASE("cuda: elementwise operations") {
  manual_seed(1);
  cases = 0;
  for (const Operation& operation : elementwise_operations()) {
    CAPTURE(std::string(operation.name));
    std::vector<std::vector<Shape>> shapes;
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{3, 4}, Shape{1028}, Shape{1029}})
      shapes.push_back(std::vector<Shape>(operation.arity, shape));
    if (operation.arity == 2) shapes.push_back({{3, 1}, {4}});
    if (operation.arity == 3) shapes.push_back({{3, 1}, {4}, {}});
    for (const std::vector<Shape>& each : shapes)
      for (Dtype dtype : {float64, float32, bfloat16, int64, boolean}) {
        CAPTURE(to_string(dtype));
        CAPTURE(each[0]);
        const std::vector<Tensor> x = inputs(operation, each, dtype);
        compare(operation.apply, x, dtype);
        if (x[0].numel() > 100 || !is_floating_point(dtype)) continue;
        for (const std::vector<Tensor>& other : layouts(x)) compare(operation.apply, other, dtype);
        compare(operation.apply, repeated(x), dtype);
      }
  }
  MESSAGE(cases << " cases");
}

TEST_CASE("cuda: all other operations") {
  cases = 0;
  for (const Sample& sample : op_samples()) {
    CAPTURE(sample.call);
    manual_seed(2);  // a sample's numbers are the same whatever samples come before it
    const std::vector<Tensor> x = inputs(sample.shapes, sample.low, sample.high);
    for (Dtype dtype : {float64, float32, bfloat16}) {
      CAPTURE(to_string(dtype));
      try {
        compare(sample.apply, converted(x, dtype), dtype);
      } catch (const Error& error) {
        FAIL_CHECK(std::string(error.what()));
      }
    }
    try {
      for (const std::vector<Tensor>& other : layouts(x)) compare(sample.apply, other, float64);
      compare(sample.apply, repeated(x), float64);
    } catch (const Error& error) {
      FAIL_CHECK(std::string(error.what()));
    }
  }
  MESSAGE(cases << " cases");
}
