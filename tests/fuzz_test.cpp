// Random expressions of listed operations, checked as a whole. GRADUS_FUZZ_SEED=n runs the one of a reported failure,
// GRADUS_FUZZ_COUNT=n more of them.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <sstream>

#include "core/tape.h"
#include "derive/gradcheck.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/operations.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/checks.h"

using namespace gradus;

namespace {

/// A random expression: a list of steps, each of which appends a tensor to those before it.
class Expression {
 public:
  Expression(uint64_t seed, int depth) : random_(seed) {
    manual_seed(seed);
    for (int64_t leaf = pick(1, 3); leaf > 0; --leaf) {
      Shape shape;
      for (int64_t dim = pick(0, 3); dim > 0; --dim) shape.push_back(pick(1, 3));
      leaves.push_back(uniform(shape, -1.5, 1.5, float64));
    }
    values_ = leaves;
    for (int i = 0; i < depth; ++i) grow();
  }

  std::vector<Tensor> leaves;

  Tensor operator()(std::span<const Tensor> inputs) const {
    std::vector<Tensor> values(inputs.begin(), inputs.end());
    for (const Step& step : steps_) values.push_back(step(values));
    Tensor result = values.back();
    for (const Tensor& input : inputs) result = result + sum(input) * 0.1;  // no input is left out
    return result;
  }

 private:
  using Step = std::function<Tensor(const std::vector<Tensor>&)>;

  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  void add(Step step) {
    const NoGrad off;
    values_.push_back(step(values_));
    steps_.push_back(std::move(step));
  }

  // One of the latest values, so that the expression grows deep.
  size_t operand() { return values_.size() - 1 - size_t(pick(0, std::min<int64_t>(3, int64_t(values_.size()) - 1))); }

  void grow() {
    const size_t i = operand();
    const Tensor x = values_[i];
    switch (pick(0, 3)) {
      case 0: return shape_step(i, x);
      case 1: return reduction(i, x);
      default: return elementwise();
    }
  }

  void elementwise() {
    static const std::vector<Operation> operations = [] {
      std::vector<Operation> all = elementwise_operations();
      std::erase_if(all, [](const Operation& each) { return each.gradients.empty(); });
      return all;
    }();
    const Operation& operation = operations[size_t(pick(0, int64_t(operations.size()) - 1))];
    std::vector<size_t> operands{operand()};
    while (operands.size() < operation.arity) {
      std::vector<size_t> fitting;  // those that broadcast with the operands so far
      for (size_t i = 0; i < values_.size(); ++i)
        if (std::ranges::all_of(operands, [&](size_t k) { return broadcast(values_[i].shape(), values_[k].shape()); }))
          fitting.push_back(i);
      operands.push_back(fitting[size_t(pick(0, int64_t(fitting.size()) - 1))]);
    }
    const double low = operation.low, high = operation.high;
    add([=](const std::vector<Tensor>& values) {
      std::vector<Tensor> x;
      for (size_t k : operands)
        x.push_back((low + high) / 2 + (high - low) / 2 * tanh(values[k]));  // into its interval
      if (operation.condition) x[0] = x[0] > 0.3;
      return operation.apply(x);
    });
  }

  static bool broadcast(const Shape& a, const Shape& b) {
    for (int i = 1; i <= std::min(a.dim(), b.dim()); ++i)
      if (a[a.dim() - i] != b[b.dim() - i] && a[a.dim() - i] != 1 && b[b.dim() - i] != 1) return false;
    return true;
  }

  void shape_step(size_t i, const Tensor& x) {
    const int dims = x.dim();
    if (dims == 0 || dims > 5 || x.numel() > 100) return add([i](auto& v) { return reshape(sum(v[i]) * 0.2, {1, 1}); });
    const int64_t dim = pick(0, dims - 1), other = pick(0, dims - 1), size = x.size(dim);
    switch (pick(0, 7)) {
      case 0: return add([=](auto& v) { return transpose(v[i], dim, other); });
      case 1: return add([=](auto& v) { return flatten(v[i], std::min(dim, other), std::max(dim, other)); });
      case 2: return add([=](auto& v) { return flip(v[i], {dim}); });
      case 3: return add([=](auto& v) { return slice(v[i], dim, size > 1 ? 1 : 0, INT64_MAX, 2); });
      case 4: return add([=](auto& v) { return cat({v[i], v[i] * 0.5}, dim); });
      case 5: return add([=](auto& v) { return stack({v[i], v[i] * v[i]}); });
      case 6: return add([=](auto& v) { return select(v[i], dim, size - 1); });
      default:
        return add([=](auto& v) {
          const Tensor a = tanh(transpose(v[i], dim, -1));
          return matmul(a, reshape(a, {size, -1}));
        });
    }
  }

  void reduction(size_t i, const Tensor& x) {
    const int dims = x.dim();
    const int64_t dim = dims ? pick(0, dims - 1) : 0;
    const bool keep = pick(0, 1), whole = dims == 0 || pick(0, 3) == 0;
    const Dims reduced = whole ? Dims() : Dims(dim);
    switch (pick(0, 7)) {
      case 0: return add([=](auto& v) { return sum(v[i], reduced, keep) * 0.5; });
      case 1: return add([=](auto& v) { return mean(v[i], reduced, keep); });
      case 2: return add([=](auto& v) { return amax(v[i], reduced, keep); });
      case 3: return add([=](auto& v) { return amin(v[i], reduced, keep); });
      case 4: return add([=](auto& v) { return logsumexp(v[i], reduced, keep); });
      case 5: return add([=](auto& v) { return var(v[i], reduced, keep, 0); });
      case 6: return add([=](auto& v) { return softmax(v[i], dim); });
      default: return add([=](auto& v) { return log_softmax(v[i], dim) * 0.3; });
    }
  }

  std::mt19937_64 random_;
  std::vector<Tensor> values_;  // of the leaves and the steps, as the expression grows
  std::vector<Step> steps_;
};

void check_expression(uint64_t seed, bool second_order) {
  const int depth = 1 + int(seed % 30);
  CAPTURE(seed);
  const Expression f(seed, depth);
  const GradcheckResult result =
      check_gradients([&](std::span<const Tensor> x) { return f(x); }, f.leaves, {.second_order = second_order});
  if (result || (result.compared == 0 && result.skipped > 0)) return;  // a staircase of floor and round is all kinks
  std::ostringstream steps;
  std::vector<Tensor> x;
  for (const Tensor& leaf : f.leaves) x.push_back(leaf.detach().requires_grad());
  steps << Tape(f(x));
  CHECK_MESSAGE(result, "run with GRADUS_FUZZ_SEED=" << seed << "\n" << result << "\n" << steps.str());
}

}  // namespace

TEST_CASE("random expressions: gradients agree with differences") {
  const char* chosen = std::getenv("GRADUS_FUZZ_SEED");
  const char* count = std::getenv("GRADUS_FUZZ_COUNT");
  const checks::NoLeaks no_leaks;
  if (chosen) return check_expression(std::strtoull(chosen, nullptr, 10), true);
  const uint64_t expressions = count ? std::strtoull(count, nullptr, 10) : 300;
  for (uint64_t seed = 1; seed <= expressions; ++seed) check_expression(seed, seed % 4 == 0);
}
