#pragma once
// The fully connected layer.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/matmul.h"

namespace gradus::nn {

struct LinearLayerOptions {
  bool bias = true;
  bool relu = false;  ///< of the result: in the same step, if there is a bias
};

/// y = x·Wᵀ + b, or relu of it, for x: [..., in] and y: [..., out].
struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out]; undefined without a bias
  bool relu;

  /// Weight and bias are uniform in ±1/√in, as in PyTorch.
  Linear(int64_t in, int64_t out, LinearLayerOptions options = {}, Location where = Location::here());

  Tensor operator()(const Arg& x) const { return linear(x, weight, bias, {relu}); }
  template <class F> void each(F&& f) const {
    f("weight", weight), f("bias", bias);
    if (relu) f("relu", relu);
  }
};

}  // namespace gradus::nn
