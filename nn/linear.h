#pragma once
// The fully connected layer.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/matmul.h"

namespace gradus::nn {

struct LinearOptions {
  bool bias = true;
};

/// y = x·Wᵀ + b, for x: [..., in] and y: [..., out].
struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out]; undefined without a bias

  /// Weight and bias are uniform in ±1/√in, as in PyTorch.
  Linear(int64_t in, int64_t out, LinearOptions options = {}, Location where = Location::here());

  Tensor operator()(const Arg& x) const { return linear(x, weight, bias); }
  GRADUS_FIELDS(weight, bias)
};

}  // namespace gradus::nn
