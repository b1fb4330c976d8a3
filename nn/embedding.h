#pragma once
// The embedding layer: a learned vector for each of a number of things.

#include <optional>

#include "core/arg.h"
#include "nn/module.h"

namespace gradus::nn {

struct EmbeddingOptions {
  std::optional<int64_t> padding_idx = {};  ///< an index whose vector starts as zero and is not trained
};

/// Rows of the weight: index [...] (int64) gives [..., dim].
struct Embedding {
  Tensor weight;  ///< [count, dim]
  std::optional<int64_t> padding_idx;

  /// The weight is normal with mean 0 and standard deviation 1, as in PyTorch.
  Embedding(int64_t count, int64_t dim, EmbeddingOptions options = {}, Location where = Location::here());

  Tensor operator()(const Arg& index) const;
  GRADUS_FIELDS(weight, padding_idx)
};

}  // namespace gradus::nn
