#pragma once
// Flattening, as a layer.

#include "core/arg.h"
#include "nn/module.h"
#include "ops/view.h"

namespace gradus::nn {

/// Merges dimensions start … end: [N, C, H, W] becomes [N, C·H·W].
struct Flatten {
  int64_t start = 1, end = -1;

  Tensor operator()(const Arg& x) const { return flatten(x, start, end); }
  GRADUS_FIELDS(start, end)
};

}  // namespace gradus::nn
