#include "nn/clip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/node.h"
#include "ops/arithmetic.h"
#include "ops/reduce.h"

namespace gradus {

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type, Location where) {
  const Scope scope("clip_grad_norm_", where);
  const NoGrad no_grad;
  if (!(max_norm >= 0)) fail(fmt::format("max_norm is {}; it must be at least 0", max_norm));
  if (!(norm_type > 0)) fail(fmt::format("norm_type is {}; it must be greater than 0", norm_type));
  const bool infinite = std::isinf(norm_type);
  double total = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor grad = parameter.grad();
    if (!grad.defined() || grad.numel() == 0) continue;
    if (infinite) {
      const double largest = amax(abs(grad)).item<double>();
      if (!(largest <= total)) total = largest;  // NaN, too
    } else {
      total += norm_type == 2 ? std::pow(norm(grad).item<double>(), 2) : sum(pow(abs(grad), norm_type)).item<double>();
    }
  }
  if (!infinite) total = std::pow(total, 1 / norm_type);
  if (!std::isfinite(total)) fail(fmt::format("the norm of the gradients is {}", total));
  // The scaled gradient is a new tensor: the old one may be a view, or be shared with another parameter.
  if (const double factor = max_norm / (total + 1e-6); factor < 1)
    for (const Tensor& parameter : parameters)
      if (const Tensor grad = parameter.grad(); grad.defined()) parameter.set_grad(grad * factor);
  return total;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value, Location where) {
  const Scope scope("clip_grad_value_", where);
  const NoGrad no_grad;
  if (!(clip_value >= 0)) fail(fmt::format("clip_value is {}; it must be at least 0", clip_value));
  for (const Tensor& parameter : parameters)
    if (const Tensor grad = parameter.grad(); grad.defined()) parameter.set_grad(clamp(grad, -clip_value, clip_value));
}

}  // namespace gradus
