#pragma once
// Gradient checks: what backward() computes against central differences, in float64.

#include <concepts>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace gradus {

/// Settings of gradcheck.
struct GradcheckOptions {
  double tolerance = 1e-6;    ///< the largest relative error that passes
  double step = 1e-4;         ///< of the differences; where half of it gives another result there is a kink
  bool second_order = false;  ///< check the gradient of the gradient, too
  bool fast = false;          ///< along random directions; so done anyway for inputs of more than 4096 elements
  uint64_t seed = 0;          ///< of the random weights and directions
};

/// What gradcheck found. True if all gradients agree; prints itself.
struct GradcheckResult {
  int64_t compared = 0;  ///< elements (or directions) compared
  int64_t skipped = 0;   ///< those left out: a kink lies there, or the function is not finite
  std::string problem;   ///< why the check failed without a comparison; empty otherwise
  Location where;        ///< the line that asked for the check

  // The worst element.
  int order = 1;              ///< 2 in the gradient of the gradient
  int input = 0;              ///< counted from 0
  std::string name;           ///< of the input
  Shape element;              ///< its index
  double analytic = 0;        ///< what backward() says
  double numeric = 0;         ///< what the differences say
  double relative_error = 0;  ///< |analytic − numeric| / the larger of both, beyond rounding
  double tolerance = 0;       ///< what was allowed
  std::string step;           ///< the first step that uses the input, with its line: "cube (model.cpp:12)"

  explicit operator bool() const { return problem.empty() && relative_error <= tolerance; }
};

/// "gradcheck failed: input 1 (W), element [0, 2]: analytic 0.5, numeric 1, relative error 0.5 …"
std::ostream& operator<<(std::ostream& out, const GradcheckResult& result);

/// The check behind gradcheck, for inputs in a list.
GradcheckResult check_gradients(const std::function<Tensor(std::span<const Tensor>)>& f, std::vector<Tensor> inputs,
                                const GradcheckOptions& options = {}, Location where = Location::here());

/// Gradients that were found by other means, to be compared with differences of the function.
struct GivenGradients {
  Tensor grad_output;             ///< of something with respect to the function's result
  std::vector<Tensor> gradients;  ///< of the same with respect to each input; undefined ones are not compared
  double noise = 0;               ///< how far off rounding may have brought them, as a part of the largest element
};
GradcheckResult compare_gradients(const std::function<Tensor(std::span<const Tensor>)>& f, std::vector<Tensor> inputs,
                                  const GivenGradients& given, const GradcheckOptions& options = {},
                                  Location where = Location::here());

/// Whether the gradients of a function of tensors are right:
///
///   CHECK(gradcheck([](auto x, auto w) { return tanh(matmul(x, w)); }, x, w));
///   CHECK(gradcheck(f, {.second_order = true}, x, w));
///
/// The inputs are copied to float64; the function may return any shape, and must compute in float64 throughout. Int64
/// and bool inputs are passed on as they are. Random numbers are the same at each evaluation, so that dropout can be
/// checked. A template class rather than a function, because only so the caller's line can follow a list of inputs.
template <class F, class... T> struct gradcheck : GradcheckResult {
  explicit gradcheck(const F& f, const T&... inputs, Location line = Location::here())
      : gradcheck(f, GradcheckOptions(), inputs..., line) {}

  explicit gradcheck(const F& f, const GradcheckOptions& options, const T&... inputs, Location line = Location::here())
      : GradcheckResult(check_gradients(
            [&](std::span<const Tensor> x) {
              return [&]<size_t... I>(std::index_sequence<I...>) { return f(x[I]...); }
              (std::index_sequence_for<T...>());
            },
            {inputs...}, options, line)) {}
};
template <class F, std::convertible_to<Tensor>... T> gradcheck(const F&, const T&...) -> gradcheck<F, T...>;
template <class F, std::convertible_to<Tensor>... T> gradcheck(const F&, const GradcheckOptions&, const T&...)
    -> gradcheck<F, T...>;

}  // namespace gradus
