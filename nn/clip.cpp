#include "nn/clip.h"

#include <fmt/format.h>

#include <cmath>

#include "core/node.h"
#include "ops/arithmetic.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus {

Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite, Location where) {
  const Scope scope("clip_grad_norm_", where);
  const NoGrad no_grad;
  if (!(max_norm >= 0)) fail(fmt::format("max_norm is {}; it must be at least 0", max_norm));
  if (!(norm_type > 0)) fail(fmt::format("norm_type is {}; it must be greater than 0", norm_type));
  const auto norm_of = [&](const Tensor& x) {
    if (norm_type == 2) return norm(x);
    return std::isinf(norm_type) ? amax(abs(x)) : pow(to(sum(pow(abs(x), norm_type)), float64), 1 / norm_type);
  };
  std::vector<Tensor> norms;
  for (const Tensor& parameter : parameters)
    if (const Tensor& grad = parameter.grad(); grad.defined() && grad.numel() > 0)
      norms.push_back(to(to(norm_of(grad), float64), norms.empty() ? grad.device() : norms[0].device()));
  if (norms.empty()) return Tensor(0., float64);
  const Tensor total = norm_of(stack(norms));
  if (error_if_nonfinite) {
    const double value = total.item<double>();
    if (!std::isfinite(value)) fail(fmt::format("the norm of the gradients is {}", value));
    if (value + 1e-6 <= max_norm) return total;
  }
  // The scaled gradient is a new tensor: the old one may be a view, or be shared with another parameter.
  const Tensor factor = minimum(max_norm / (total + 1e-6), 1.);
  for (const Tensor& parameter : parameters)
    if (const Tensor& grad = parameter.grad(); grad.defined())
      parameter.set_grad(grad * to(to(factor, grad.device()), grad.dtype()));
  return total;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value, Location where) {
  const Scope scope("clip_grad_value_", where);
  const NoGrad no_grad;
  if (!(clip_value >= 0)) fail(fmt::format("clip_value is {}; it must be at least 0", clip_value));
  for (const Tensor& parameter : parameters)
    if (const Tensor& grad = parameter.grad(); grad.defined()) parameter.set_grad(clamp(grad, -clip_value, clip_value));
}

}  // namespace gradus
