#include "derive/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/node.h"
#include "core/random.h"
#include "core/tape.h"
#include "ops/create.h"
#include "ops/view.h"

namespace gradus {
namespace {

constexpr int64_t fast_above = 4096;
constexpr int directions = 8;

using Function = std::function<std::vector<Tensor>(std::span<const Tensor>)>;
using Values = std::vector<double>;

bool is_checked(const Tensor& x) { return x.defined() && is_floating_point(x.dtype()); }

/// The gradients of Σ weight · f for fixed random weights: from the tape, and from differences.
class Check {
 public:
  Check(Function f, std::span<const Tensor> inputs, const GradcheckOptions& options, GradcheckResult& result)
      : f_(std::move(f)), inputs_(inputs.begin(), inputs.end()), options_(options), result_(result) {}

  void run() {
    analyse();
    if (result_.problem.empty()) compare_all();
  }

  void run(const GivenGradients& given) {
    weights_ = {given.grad_output.to_vector<double>()};
    values_ = {Values(size_t(given.grad_output.numel()))};
    values_ = evaluate(inputs_);
    steps_.resize(inputs_.size());
    for (size_t k = 0; k < inputs_.size(); ++k) {
      const Tensor& gradient = given.gradients[k];
      gradients_.push_back(gradient.defined() ? gradient.to_vector<double>() : Values());
      expect_noise(gradients_[k], given.noise);
    }
    compare_all();
  }

 private:
  // Terms of the size of the largest gradient may have cancelled each other in any of them, up to their rounding.
  void expect_noise(const Values& gradient, double relative) {
    for (double each : gradient) noise_ = std::max(noise_, relative * std::fabs(each));
  }

  void compare_all() {
    const int64_t before = result_.compared;
    for (size_t k = 0; k < inputs_.size(); ++k) {
      if (gradients_[k].empty()) continue;  // nothing to compare with
      const int64_t size = inputs_[k].numel();
      if (size > fast_above || (options_.fast && size > 1)) {
        for (int i = 0; i < directions; ++i) along_random_direction(k);
      } else {
        direction_.assign(size_t(size), 1);
        for (int64_t i = 0; i < size; ++i) record(k, i, compare(k, i, i + 1));
      }
    }
    if (result_.compared == before)
      result_.problem = "nothing was left to compare, with " + std::to_string(result_.skipped) + " elements skipped";
  }

  struct Slope {
    double central, kink;  // the derivative; by how much the one-sided ones differ
    double rounding;       // of the derivative
  };
  struct Comparison {
    double analytic = 0, numeric = 0, error = 0;
    bool skipped = false;
  };

  // Gradients from the tape, and the values to start from.
  void analyse() {
    std::vector<Tensor> x = inputs_, wanted;
    for (Tensor& each : x)
      if (is_checked(each)) wanted.push_back(each = each.detach().named(each.name()).requires_grad());
    std::vector<Tensor> y, weights;
    for (const Tensor& each : f_(x)) {
      require_float64(each);
      const Tensor weight = uniform(each.shape(), 0.5, 1.5, float64, generator_);
      weights_.push_back(weight.to_vector<double>());
      values_.push_back(each.to_vector<double>());
      if (each.needs_grad()) y.push_back(each), weights.push_back(weight.copied_to(each.device()));
    }
    if (y.empty()) {
      result_.problem = "no gradient flows from the result to an input";
      return;
    }
    const std::vector<Values> recorded = std::exchange(values_, evaluate(inputs_));
    for (size_t i = 0; i < recorded.size(); ++i)
      if (!std::ranges::equal(recorded[i], values_[i], [&](double a, double b) { return agree(a, b); }))
        result_.problem = result_.order == 1 ? "the function does not give the same result twice"
                                             : "the backward pass gives other gradients when it is recorded";
    const Tape tape(y);
    const std::vector<Tensor> found = grad(y, wanted, {.retain_graph = true}, weights, result_.where);
    for (size_t k = 0, next = 0; k < x.size(); ++k) {
      gradients_.emplace_back();
      steps_.emplace_back();
      if (!is_checked(x[k])) continue;
      const Tensor& gradient = found[next++];
      gradients_[k] = gradient.defined() ? gradient.to_vector<double>() : Values(size_t(x[k].numel()));
      expect_noise(gradients_[k], 64 * std::numeric_limits<double>::epsilon());
      for (const Ref<Node>& step : tape)
        if (steps_[k].empty() && std::ranges::count(step->inputs(), x[k].node()))
          steps_[k] = std::string(step->operation()) + " (" + to_string(step->where()) + ")";
    }
  }

  bool agree(double a, double b) const {
    return std::fabs(a - b) <= options_.tolerance * std::max({1., std::fabs(a), std::fabs(b)}) || a == b ||
           (a != a && b != b);
  }

  void require_float64(const Tensor& y) {
    if (y.dtype() == float64) return;
    const Scope scope("gradcheck", result_.where);
    fail("the function gave " + to_string(y.dtype()) +
         "; differences are accurate only where everything is computed in float64");
  }

  // An element where a random direction shows an error is found by halving the direction.
  void along_random_direction(size_t k) {
    int64_t begin = 0, end = inputs_[k].numel();
    direction_ = randn({end}, float64, generator_).to_vector<double>();
    const double length = std::sqrt(std::inner_product(direction_.begin(), direction_.end(), direction_.begin(), 0.));
    for (double& v : direction_) v /= length;
    Comparison all = compare(k, begin, end);
    while (all.error > options_.tolerance && end - begin > 1) {
      const int64_t middle = begin + (end - begin) / 2;
      const Comparison left = compare(k, begin, middle), right = compare(k, middle, end);
      if (left.error >= right.error) all = left, end = middle;
      else all = right, begin = middle;
    }
    record(k, begin, all);
  }

  void record(size_t k, int64_t element, const Comparison& found) {
    ++(found.skipped ? result_.skipped : result_.compared);
    if (found.error <= result_.relative_error) return;
    result_.relative_error = found.error;
    result_.input = int(k);
    result_.name = inputs_[k].name();
    result_.element = inputs_[k].shape();
    for (int i = result_.element.dim() - 1; i >= 0; --i)
      element /= std::exchange(result_.element[i], element % inputs_[k].shape()[i]);
    result_.analytic = found.analytic;
    result_.numeric = found.numeric;
    result_.step = steps_[k];
  }

  // Compares the derivatives along elements begin … end-1 of the direction.
  Comparison compare(size_t k, int64_t begin, int64_t end) {
    const Slope wide = slope(k, begin, end, options_.step), narrow = slope(k, begin, end, options_.step / 2);
    const double floor = narrow.rounding / options_.tolerance;
    const double size = std::max({std::fabs(wide.central), std::fabs(narrow.central), floor});
    // In a smooth place the one-sided derivatives differ in proportion to the step.
    const bool smooth = std::fabs(wide.central - narrow.central) <= options_.tolerance * size &&
                        std::fabs(wide.kink - 2 * narrow.kink) <= 2 * options_.tolerance * size;
    if (!smooth) return {.skipped = true};  // so too if something is NaN
    double analytic = 0, largest = 0;
    for (size_t i = size_t(begin); i < size_t(end); ++i) {
      analytic += gradients_[k][i] * direction_[i];
      largest = std::max(largest, std::fabs(direction_[i]));
    }
    const double numeric = (4 * narrow.central - wide.central) / 3;  // Richardson's extrapolation
    double error = std::fabs(analytic - numeric) /
                   std::max({std::fabs(analytic), std::fabs(numeric), floor, noise_ / options_.tolerance});
    if (analytic == numeric) error = 0;
    else if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    return {analytic / largest, numeric / largest, error};
  }

  Slope slope(size_t k, int64_t begin, int64_t end, double h) {
    const std::vector<Values> up = moved(k, begin, end, h), down = moved(k, begin, end, -h);
    double first = 0, second = 0, changed = 0;
    for (size_t i = 0; i < values_.size(); ++i)
      for (size_t j = 0; j < values_[i].size(); ++j) {
        const double weight = weights_[i][j], y = values_[i][j];
        if (up[i][j] == y && down[i][j] == y) continue;
        first += weight * (up[i][j] - down[i][j]);
        second += weight * ((up[i][j] - y) - (y - down[i][j]));
        changed += weight * weight * y * y;
      }
    return {first / (2 * h), second / h, 64 * std::numeric_limits<double>::epsilon() * std::sqrt(changed) / h};
  }

  // The function with elements begin … end-1 of input k moved by `distance` along the direction.
  std::vector<Values> moved(size_t k, int64_t begin, int64_t end, double distance) {
    std::vector<Tensor> x = inputs_;
    Values values = x[k].to_vector<double>();
    for (size_t i = size_t(begin); i < size_t(end); ++i) values[i] += distance * direction_[i];
    x[k] = Tensor::copy_of(values.data(), x[k].shape()).copied_to(x[k].device()).named(x[k].name());
    return evaluate(x);
  }

  // The same random numbers each time.
  std::vector<Values> evaluate(std::span<const Tensor> x) {
    default_generator().set_state(random_);
    std::vector<Values> results;
    for (const Tensor& y : f_(x)) results.push_back(y.to_vector<double>());
    const auto same_size = [](const Values& a, const Values& b) { return a.size() == b.size(); };
    if (!std::ranges::equal(results, values_, same_size)) {
      const Scope scope("gradcheck", result_.where);
      fail("the shape of the function's result depends on the values of its inputs");
    }
    return results;
  }

  Function f_;
  std::vector<Tensor> inputs_;
  const GradcheckOptions& options_;
  GradcheckResult& result_;
  Generator generator_{options_.seed};
  GeneratorState random_ = default_generator().state();
  std::vector<Values> values_, weights_;  // of each output
  std::vector<Values> gradients_;         // of each input
  std::vector<std::string> steps_;
  Values direction_;
  double noise_ = 0;  // of the gradients
};

// The gradients of f as a function of its inputs and of the gradient of its result, which comes last.
Function gradient_of(const std::function<Tensor(std::span<const Tensor>)>& f) {
  return [&f](std::span<const Tensor> inputs) {
    std::vector<Tensor> x(inputs.begin(), inputs.end() - 1), wanted;
    const bool create_graph = std::ranges::any_of(x, &Tensor::needs_grad);
    for (Tensor& each : x)
      if (is_checked(each)) wanted.push_back(each = create_graph ? each : each.detach().requires_grad());
    std::vector<Tensor> gradients = grad({f(x)}, wanted, {.create_graph = create_graph}, {inputs.back()});
    std::erase_if(gradients, [](const Tensor& gradient) { return !gradient.defined(); });
    return gradients;
  };
}

// A result without anything compared yet; the inputs become float64.
GradcheckResult start(std::vector<Tensor>& inputs, const GradcheckOptions& options, Location where) {
  for (Tensor& x : inputs)
    if (is_checked(x)) x = contiguous(to(x.detach(), float64)).named(x.name());
  GradcheckResult result;
  result.where = where;
  result.tolerance = options.tolerance;
  return result;
}

}  // namespace

GradcheckResult compare_gradients(const std::function<Tensor(std::span<const Tensor>)>& f, std::vector<Tensor> inputs,
                                  const GivenGradients& given, const GradcheckOptions& options, Location where) {
  GradcheckResult result = start(inputs, options, where);
  const NoGrad off;
  Check([&](std::span<const Tensor> x) { return std::vector{f(x)}; }, inputs, options, result).run(given);
  return result;
}

GradcheckResult check_gradients(const std::function<Tensor(std::span<const Tensor>)>& f, std::vector<Tensor> inputs,
                                const GradcheckOptions& options, Location where) {
  GradcheckResult result = start(inputs, options, where);
  if (std::ranges::none_of(inputs, is_checked)) {
    const Scope scope("gradcheck", where);
    fail("no input is a floating-point tensor");
  }
  const GradMode on(true);
  Check([&](std::span<const Tensor> x) { return std::vector{f(x)}; }, inputs, options, result).run();
  if (options.second_order && result) {
    result.order = 2;
    const Tensor y = f(inputs);
    inputs.push_back(randn(y.shape(), float64).copied_to(y.device()).named("grad_output"));
    Check(gradient_of(f), inputs, options, result).run();
  }
  return result;
}

std::ostream& operator<<(std::ostream& out, const GradcheckResult& result) {
  out << "gradcheck " << (result ? "passed" : "failed");
  if (result.where.file) out << " (" << to_string(result.where) << ")";
  if (!result.problem.empty()) return out << ": " << result.problem;
  const auto precision = out.precision(9);
  if (!result) {
    out << ": input " << result.input;
    if (!result.name.empty()) out << " (" << result.name << ")";
    out << ", element " << result.element << (result.order == 2 ? ", second order" : "") << ": analytic "
        << result.analytic << ", numeric " << result.numeric << ", relative error " << result.relative_error
        << "; first used by " << result.step << ';';
  } else {
    out << ": largest relative error " << result.relative_error << ',';
  }
  out.precision(precision);
  return out << ' ' << result.compared << " compared, " << result.skipped << " skipped";
}

}  // namespace gradus
