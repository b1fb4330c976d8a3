// Walks all elementwise operations: values, gradients, dtypes, layouts, what a step keeps alive. A new operation is
// tested as soon as it stands in its list.

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <map>

#include "core/tape.h"
#include "core/threads.h"
#include "derive/gradcheck.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/assign.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/join.h"
#include "ops/operations.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/checks.h"
#include "tests/op_samples.h"

using namespace gradus;
using namespace gradus::samples;
using checks::distance;

namespace {

const std::vector<Operation> operations = elementwise_operations();
const std::map<Dtype, double> tolerance = {
    {float64, 1e-13}, {float32, 2e-6}, {bfloat16, 4e-3}, {int64, 1e-6}, {boolean, 1e-6}};

std::vector<Shape> same(const Operation& operation, const Shape& shape) { return {operation.arity, shape}; }

// Shapes that broadcast together, one for each operand.
std::vector<std::vector<Shape>> broadcasts(const Operation& operation) {
  if (operation.arity == 1) return {};
  if (operation.arity == 2) return {{{3, 1}, {4}}, {{}, {3}}, {{2, 1, 3}, {1}}, {{0, 3}, {3}}};
  return {{{3, 1}, {4}, {}}, {{}, {3}, {2, 1}}, {{4}, {1}, {0, 1}}};
}

// The operation on each element alone, in float64 (integers stay integers): another kernel than that of arrays.
Tensor reference(const Operation& operation, Inputs x) {
  Shape shape;
  for (const Tensor& each : x) shape = broadcast_shapes(shape, each.shape());
  std::vector<double> values;
  for (int64_t i = 0; i < shape.numel(); ++i) {
    std::vector<Tensor> one;
    for (const Tensor& each : x)
      one.push_back(Tensor(expand(each, shape).at(i), is_floating_point(each.dtype()) ? float64 : each.dtype()));
    values.push_back(operation.apply(one).at(0));
  }
  return Tensor(values, shape, float64);
}

void check_value(const Operation& operation, Inputs x) {
  const Dtype dtype = x.back().dtype();
  const Tensor y = operation.apply(x);
  const Dtype expected = operation.predicate        ? boolean
                         : is_floating_point(dtype) ? dtype
                         : operation.integers       ? dtype
                                                    : float32;
  CHECK(y.dtype() == expected);
  CHECK(y.is_contiguous());
  CHECK(distance(y, reference(operation, x)) <= tolerance.at(expected));
}

std::vector<Tensor> gradients(const Operation& operation, Inputs x, const Tensor& dy, bool create_graph) {
  const Tensor y = operation.apply(x);
  return grad({y}, differentiable(x), {.create_graph = create_graph}, {dy});
}

}  // namespace

TEST_CASE("elementwise: values, for all dtypes, sizes and layouts") {
  manual_seed(1);
  for (const Operation& operation : operations) {
    CAPTURE(std::string(operation.name));
    for (Dtype dtype : {float32, float64, bfloat16, int64, boolean}) {
      CAPTURE(to_string(dtype));
      for (const Shape& shape :
           std::vector<Shape>{{}, {1}, {0}, {0, 3}, {3, 4}, {2, 3, 5}, {7}, {17}, {33}, {1025}, {4097}}) {
        if (shape == Shape{4097} && dtype != float32) continue;
        CAPTURE(shape);
        const std::vector<Tensor> x = inputs(operation, same(operation, shape), dtype);
        check_value(operation, x);
        if (shape.numel() > 100) continue;
        for (const std::vector<Tensor>& other : layouts(x))
          CHECK(distance(operation.apply(other), operation.apply(x)) <= tolerance.at(float64));
        check_value(operation, repeated(x));
      }
      for (const std::vector<Shape>& shapes : broadcasts(operation))
        check_value(operation, inputs(operation, shapes, dtype));
    }
  }
}

TEST_CASE("elementwise: equal, very large and very small numbers, infinities and NaN") {
  std::vector<double> special = {NAN, INFINITY, -INFINITY, 0.,   -0.,   1.,  -1.,  0.5,   -0.5,  3.,
                                 -3., 1e-30,    -1e-30,    1e30, -1e30, 89., -89., 1000., -1000.};
  for (const Operation& operation : operations) {
    if (operation.condition) continue;
    CAPTURE(std::string(operation.name));
    const int64_t n = int64_t(special.size());
    for (Dtype dtype : {float32, float64}) {
      const Tensor row = Tensor(special, {n}, dtype);
      std::vector<Tensor> x{contiguous(expand(row, {n, n})), contiguous(expand(unsqueeze(row, 1), {n, n}))};
      if (operation.arity == 1) x.pop_back();
      const std::vector<Tensor> in = leaves(x);
      const Tensor y = operation.apply(in), dy = ones_like(y);
      const bool differentiated = !operation.gradients.empty();
      const std::vector<Tensor> g = differentiated ? gradients(operation, in, dy, false) : std::vector<Tensor>();
      for (int64_t i = 0; i < n * n; ++i) {
        std::vector<Tensor> each;
        for (const Tensor& tensor : x) each.push_back(Tensor(tensor.at(i), dtype));
        const std::vector<Tensor> one = leaves(each);
        CAPTURE(one[0]);
        CAPTURE(one.back());
        CHECK(distance(Tensor(y.at(i), float64), operation.apply(one)) < 1e-5);
        if (!differentiated) continue;
        const std::vector<Tensor> expected = gradients(operation, one, Tensor(1, dtype), false);
        for (size_t k = 0; k < g.size(); ++k) CHECK(distance(Tensor(g[k].at(i), float64), expected[k]) < 1e-5);
      }
    }
  }
}

TEST_CASE("elementwise: gradients and gradients of gradients") {
  manual_seed(2);
  for (const Operation& operation : operations) {
    CAPTURE(std::string(operation.name));
    if (operation.gradients.empty()) {
      const std::vector<Tensor> x = leaves(inputs(operation, same(operation, {3})));
      CHECK_FALSE(operation.apply(x).needs_grad());
      continue;
    }
    std::vector<std::vector<Shape>> shapes = broadcasts(operation);
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{3, 4}}) shapes.push_back(same(operation, shape));
    for (const std::vector<Shape>& each : shapes) {
      const std::vector<Tensor> x = inputs(operation, each);
      if (x[0].numel() > 0) CHECK(check_gradients(operation.apply, x, {.second_order = true}));
    }
    const std::vector<Tensor> x = inputs(operation, same(operation, {2, 3}));
    CHECK(check_gradients(
        [&](Inputs in) {
          const auto of = [&](auto&& change) {
            std::vector<Tensor> changed;
            for (const Tensor& each : in) changed.push_back(change(each));
            return operation.apply(changed);
          };
          const Tensor transposed = of([](const Tensor& each) { return t(each); });
          const Tensor spread = of([](const Tensor& each) { return expand(narrow(each, 0, 0, 1), {2, 3}); });
          const Tensor strided = of([](const Tensor& each) { return slice(each, 1, 0, 3, 2); });
          return t(transposed) + spread + narrow(strided, 1, 1, 1);
        },
        x, {.second_order = true}));
  }
}

TEST_CASE("elementwise: the fused backward kernel and the recorded backward give the same gradients") {
  manual_seed(3);
  for (const Operation& operation : operations) {
    if (operation.gradients.empty()) continue;
    CAPTURE(std::string(operation.name));
    for (Dtype dtype : {float64, float32, bfloat16}) {
      CAPTURE(to_string(dtype));
      const double allowed = dtype == float64 ? 1e-11 : dtype == float32 ? 2e-5 : 0.06;
      for (const Shape& shape : std::vector<Shape>{{}, {0}, {1}, {17}, {5, 7}, {4097}}) {
        CAPTURE(shape);
        const std::vector<Tensor> x = inputs(operation, same(operation, shape), dtype);
        const Tensor dy = uniform(shape, 0.5, 2, dtype);
        const std::vector<Tensor> expected = gradients(operation, leaves(x), dy, true);
        const auto check = [&](Inputs in, const Tensor& with, bool create_graph) {
          const std::vector<Tensor> found = gradients(operation, in, with, create_graph);
          REQUIRE(found.size() == expected.size());
          for (size_t i = 0; i < found.size(); ++i) {
            CHECK(found[i].dtype() == dtype);
            CHECK(distance(found[i], expected[i]) <= allowed);
          }
        };
        check(leaves(x), dy, false);
        for (const std::vector<Tensor>& other : layouts(x)) {
          check(leaves(other), layouts(std::vector{dy})[0][0], false);
          check(leaves(other), layouts(std::vector{dy})[1][0], true);
        }
      }
    }
  }
}

TEST_CASE("elementwise: operands that need no gradient change nothing of the others' first and second gradients") {
  manual_seed(4);
  for (const Operation& operation : operations) {
    if (operation.gradients.empty() || operation.arity == 1) continue;
    CAPTURE(std::string(operation.name));
    for (const Shape& shape : {Shape{}, Shape{5}}) {
      const std::vector<Tensor> values = inputs(operation, same(operation, shape));
      const Tensor dy = uniform(shape, 0.5, 2, float64);
      for (unsigned wanted = 1; wanted < 1u << operation.arity; ++wanted) {
        if (operation.condition && (wanted & 1)) continue;
        const auto differentiated = [&](bool all_need_one, bool create_graph) {
          const std::vector<Tensor> leaf = leaves(values);
          std::vector<Tensor> x, of;
          for (size_t i = 0; i < leaf.size(); ++i) {
            x.push_back(all_need_one || (wanted >> i & 1) ? leaf[i] : values[i]);
            if (wanted >> i & 1) of.push_back(leaf[i]);
          }
          std::vector<Tensor> found = grad({operation.apply(x)}, of, {.create_graph = create_graph}, {dy});
          Tensor squares = zeros({}, float64);
          for (const Tensor& first : found) squares = squares + sum(square(first));
          const std::vector<Tensor> none(of.size());
          for (const Tensor& second : squares.needs_grad() ? grad({squares}, of) : none) found.push_back(second);
          return found;
        };
        for (bool create_graph : {false, true}) {
          const std::vector<Tensor> expected = differentiated(true, create_graph),
                                    found = differentiated(false, create_graph);
          REQUIRE(found.size() == expected.size());
          for (size_t i = 0; i < found.size(); ++i) {
            CHECK(found[i].defined() == expected[i].defined());
            if (found[i].defined()) CHECK(distance(found[i], expected[i]) == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("elementwise: gradients are added, steps keep what these read, nothing is left behind") {
  const checks::NoLeaks no_leaks;
  for (const Operation& operation : operations) {
    CAPTURE(std::string(operation.name));
    const checks::NoLeaks none_here;
    std::vector<Tensor> x = leaves(inputs(operation, same(operation, {3, 4})));
    Tensor y = operation.apply(x);
    if (operation.gradients.empty()) {
      CHECK(operation.keeps.empty());
      continue;
    }
    const Tensor dy = ones({3, 4}, float64);
    y.backward(dy, {.retain_graph = true});
    std::vector<Tensor> once;
    for (const Tensor& leaf : differentiable(x)) once.push_back(clone(leaf.grad()));
    y.backward(dy, {.retain_graph = true});
    for (size_t i = 0; i < once.size(); ++i) CHECK(distance(differentiable(x)[i].grad(), once[i] * 2) == 0);

    for (const Tensor& leaf : x) leaf.set_grad({});
    once.clear();
    const Ref<Node> step = y.node();
    const int64_t before = Storage::live();
    x.clear();
    y = Tensor();
    CHECK(size_t(before - Storage::live()) == operation.arity + 1 - operation.keeps.size());
  }
  using Names = std::vector<std::string>;
  std::map<std::string, Names> keeps;
  for (const Operation& operation : operations) keeps[operation.name] = operation.keeps;
  for (const char* name : {"add", "sub", "neg", "floor", "lt"}) CHECK(keeps.at(name) == Names{});
  for (const char* name : {"relu", "exp", "tanh", "sigmoid", "sqrt", "reciprocal"}) CHECK(keeps.at(name) == Names{"y"});
  for (const char* name : {"log", "gelu", "square"}) CHECK(keeps.at(name) == Names{"x"});
  for (const char* name : {"mul", "maximum"}) CHECK(keeps.at(name) == Names{"a", "b"});
  CHECK(keeps.at("div") == Names{"b", "y"});
  CHECK(keeps.at("where") == Names{"c"});
}

TEST_CASE("elementwise: a step keeps only what the gradients that are asked for read") {
  const auto freed = [](const auto& f) {  // of x, another operand and y
    Tensor x = ones({3}).requires_grad(), other = full({3}, 2), y = f(x, other);
    const Ref<Node> step = y.node();
    const int64_t before = Storage::live();
    x = other = y = Tensor();
    return before - Storage::live();
  };
  CHECK(freed([](const Tensor& x, const Tensor& other) { return x * other; }) == 2);  // dy·other
  CHECK(freed([](const Tensor& x, const Tensor& other) { return x / other; }) == 2);  // dy/other
  CHECK(freed([](const Tensor& x, const Tensor& other) { return other / x; }) == 1);  // −dy·y/x
  CHECK(freed([](const Tensor& x, const Tensor& other) { return x * x + other; }) == 2);
  CHECK(freed([](const Tensor& x, const Tensor& other) { return where(other > 1, x, other); }) == 3);

  Tensor x = ones({3}).requires_grad();
  const Tensor y = sum(x * 2);
  {
    const NoGrad off;
    fill(x, 5);  // nobody asks for its values any more
  }
  y.backward();
  CHECK(distance(x.grad(), full({3}, 2)) == 0);
}

TEST_CASE("elementwise: the same bits with one thread and with two") {
  const int before = num_threads();
  manual_seed(5);
  for (const Operation& operation : operations) {
    CAPTURE(std::string(operation.name));
    const std::vector<Tensor> x = leaves(inputs(operation, same(operation, {70'001}), float32));
    const Tensor dy = rand({70'001});
    std::vector<std::vector<Tensor>> results;
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      std::vector<Tensor> all{operation.apply(x)};
      if (!operation.gradients.empty())
        for (const Tensor& gradient : gradients(operation, x, dy, false)) all.push_back(gradient);
      results.push_back(all);
    }
    for (size_t i = 0; i < results[0].size(); ++i) CHECK(distance(results[0][i], results[1][i]) == 0);
  }
  set_num_threads(before);
}

TEST_CASE("elementwise: operands repeated along the leading dimensions of large tensors") {
  const int before = num_threads();
  manual_seed(6);
  const Shape shape{7, 40, 301};
  const Tensor x = rand(shape), dy = rand(shape);
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    for (const Shape& repeated : std::vector<Shape>{{301}, {40, 301}, {40, 1}, {1, 1}, {7, 1, 1}, {1, 40, 301}}) {
      CAPTURE(repeated);
      const Tensor part = rand(repeated).requires_grad();
      const Tensor written_out = contiguous(expand(part.detach(), shape)).requires_grad();
      CHECK(distance(part * x, written_out * x) == 0);
      CHECK(distance(x - part, x - written_out) == 0);
      const Tensor other = x.detach().requires_grad();
      CHECK(distance(grad({other * part}, {other}, {}, {dy})[0], dy * written_out) == 0);
      CHECK(distance(grad(sum(other * part), other), contiguous(expand(part.detach(), shape))) == 0);
    }
  }
  set_num_threads(before);
}

TEST_CASE("elementwise: results too large for the caches, of the same bits with one thread and with two") {
  const int before = num_threads();
  manual_seed(7);
  const int64_t piece = 300'001, pieces = 7;  // more than cpu::streamed_bytes together
  const Tensor x = (rand({pieces * piece}) + 0.5).requires_grad(), dy = rand({pieces * piece});
  const std::vector<std::function<Tensor(const Tensor&)>> functions{
      [](const Tensor& part) { return exp(part); }, [](const Tensor& part) { return part * 2; },
      [](const Tensor& part) { return to(part, float64) * 0.5; }, [](const Tensor& part) { return gelu(part); },
      [](const Tensor& part) { return tanh(part * 2); }};  // its gradient is written over the one it comes from
  for (const auto& f : functions) {
    std::vector<Tensor> results;
    for (int threads : {1, 2}) {
      set_num_threads(threads);
      const Tensor y = f(x), dx = grad({y}, {x}, {}, {to(dy, y.dtype())})[0];
      for (int64_t i = 0; i < pieces; ++i) {
        const Tensor part = clone(narrow(x.detach(), 0, i * piece, piece)).requires_grad(), value = f(part);
        const Tensor upstream = to(narrow(dy, 0, i * piece, piece), value.dtype());
        CHECK(distance(narrow(y, 0, i * piece, piece), value) < 1e-6);
        CHECK(distance(narrow(dx, 0, i * piece, piece), grad({value}, {part}, {}, {upstream})[0]) < 1e-6);
      }
      results.push_back(cat({to(y.detach(), float64), to(dx, float64)}, 0));
    }
    CHECK(distance(results[0], results[1]) == 0);
  }
  set_num_threads(before);
}

TEST_CASE("elementwise: exponentials and sigmoids have their last digits, from the smallest numbers to the largest") {
  const double smallest = std::numeric_limits<float>::min(), largest = std::numeric_limits<float>::max();
  const Tensor x = linspace(-110, 95, 200'001), power = exp(x), share = sigmoid(x);
  double worst = 0, worst_share = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double expected = std::exp(x.at(i)), expected_share = 1 / (1 + std::exp(-x.at(i)));
    if (expected > largest) CHECK(power.at(i) == std::numeric_limits<double>::infinity());
    else if (expected < smallest) CHECK(power.at(i) <= smallest);
    else worst = std::max(worst, std::abs(power.at(i) / expected - 1));
    if (expected_share < smallest) CHECK(share.at(i) <= smallest);
    else worst_share = std::max(worst_share, std::abs(share.at(i) / expected_share - 1));
  }
  CHECK(worst < 1.6e-7);  // 1.3 units in the last place
  CHECK(worst_share < 3.3e-7);
}
