// Steps of a derivation, and the whole, against central differences.

#include <string_view>

#include "core/node.h"
#include "derive/derivation.h"
#include "ops/create.h"
#include "ops/view.h"

namespace gradus {
namespace {

Tensor in_float64(const Tensor& x) { return is_floating_point(x.dtype()) ? to(x, float64) : x; }

// In float64 throughout: conversions to another dtype are left out.
Tensor computed_again(const Node& node, std::span<const Tensor> inputs) {
  if (node.operation() == std::string_view("to")) return inputs[0];
  return in_float64(node.again(inputs));
}

// What may lie between a gradient computed in a dtype and the true one.
GradcheckOptions options_for(Dtype dtype) {
  return {.tolerance = dtype == float64 ? 1e-6 : dtype == float32 ? 1e-3 : 5e-2};
}
double noise_of(Dtype dtype) { return dtype == float64 ? 1e-12 : dtype == float32 ? 1e-5 : 1e-2; }

}  // namespace

std::vector<Tensor> Derivation::values_in_float64() const {
  std::vector<Tensor> values;
  for (const Quantity& each : quantities_) values.push_back(in_float64(each.value).named(each.name));
  return values;
}

GradcheckResult Derivation::check_step(size_t forward_step) const {
  const ForwardStep& step = forward_[forward_step];
  const Quantity& result = quantities_[step.result];
  const Dtype dtype = result.value.dtype();
  GivenGradients given{result.gradient, std::vector<Tensor>(step.inputs.size()), noise_of(dtype)};
  for (const BackwardStep& backward : backward_)
    if (backward.forward == forward_step)
      for (const Contribution& each : backward.contributions) given.gradients[each.input] = each.value;
  if (!result.gradient.defined()) fail("check: no gradient flows to " + result.name);
  std::vector<Tensor> inputs;
  for (size_t input : step.inputs)
    inputs.push_back(in_float64(quantities_[input].value).named(quantities_[input].name));
  return compare_gradients([&](std::span<const Tensor> x) { return computed_again(*nodes_[forward_step], x); }, inputs,
                           given, options_for(dtype), step.where);
}

GradcheckResult Derivation::check_gradient(size_t quantity) const {
  const Quantity& moved = quantities_[quantity];
  if (!moved.gradient.defined()) fail("check: no gradient flows to " + moved.name);
  const Dtype dtype = moved.value.dtype();
  const auto whole = [&](std::span<const Tensor> x) {
    std::vector<Tensor> values = values_in_float64();
    values[quantity] = x[0];
    std::vector<bool> changed(values.size());
    changed[quantity] = true;
    for (size_t i = 0; i < forward_.size(); ++i) {
      const ForwardStep& step = forward_[i];
      if (step.result == quantity) continue;
      std::vector<Tensor> inputs;
      for (size_t input : step.inputs) {
        inputs.push_back(values[input]);
        if (changed[input]) changed[step.result] = true;
      }
      if (changed[step.result]) values[step.result] = computed_again(*nodes_[i], inputs);
    }
    return values[result()];
  };
  return compare_gradients(whole, {values_in_float64()[quantity]},
                           {quantities_[result()].gradient, {moved.gradient}, noise_of(dtype)}, options_for(dtype),
                           forward_.back().where);
}

}  // namespace gradus
