#include <doctest/doctest.h>

#include <cmath>

#include "nn/clip.h"
#include "ops/create.h"
#include "ops/view.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

// The gradients after clipping, and what the norm was, for a function that returns one.
StateDict clipped(const golden::Case& one, const auto& clip) {
  golden::Tensors parameters;
  for (const char* name : {"grad.0", "grad.1"}) {
    const Tensor& grad = one.given.at(name);
    parameters.push_back(zeros_like(grad).requires_grad());
    parameters.back().set_grad(grad);
  }
  StateDict results;
  if constexpr (std::is_void_v<decltype(clip(parameters))>) clip(parameters);
  else results["norm"] = to(clip(parameters), one.dtype);
  for (size_t i = 0; i < 2; ++i) results["clipped." + std::to_string(i)] = parameters[i].grad();
  return results;
}

}  // namespace

TEST_CASE("golden: gradient clipping agrees with PyTorch") {
  golden::File file("clip");
  const auto check = [&](const std::string& name, const auto& clip) {
    file.check(name, [&](const golden::Case& one) { return clipped(one, clip); });
  };
  check("clip_grad_norm_/1", [](auto& parameters) { return clip_grad_norm_(parameters, 0.5, 1); });
  check("clip_grad_norm_/2", [](auto& parameters) { return clip_grad_norm_(parameters, 0.5); });
  check("clip_grad_norm_/3", [](auto& parameters) { return clip_grad_norm_(parameters, 0.5, 3); });
  check("clip_grad_norm_/infinity", [](auto& parameters) { return clip_grad_norm_(parameters, 0.5, INFINITY); });
  check("clip_grad_norm_/small_already", [](auto& parameters) { return clip_grad_norm_(parameters, 100); });
  check("clip_grad_value_/0.7", [](auto& parameters) { clip_grad_value_(parameters, 0.7); });
}
