#pragma once
// Dropout: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/softmax.h"

namespace gradus::nn {

/// In training, sets each element to 0 with probability p and scales the others by 1 / (1 − p); otherwise returns x.
struct Dropout {
  double p = 0.5;
  Training training = {};

  Tensor operator()(const Arg& x) const { return dropout(x, p, training); }
  GRADUS_FIELDS(p, training)
};

}  // namespace gradus::nn
