#include "nn/embedding.h"

#include "nn/init.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/index.h"
#include "ops/view.h"

namespace gradus::nn {

Embedding::Embedding(int64_t count, int64_t dim, EmbeddingOptions options, Location where)
    : padding_idx(options.padding_idx) {
  const Scope scope("Embedding", where);
  if (count < 1 || dim < 1)
    fail("count is " + std::to_string(count) + " and dim " + std::to_string(dim) + "; both must be at least 1");
  weight = init::normal_(Tensor::empty({count, dim}));
  if (padding_idx) {
    init::zeros_(select(weight, 0, *padding_idx));
    if (*padding_idx < 0) *padding_idx += count;
  }
  weight.requires_grad();
}

Tensor Embedding::operator()(const Arg& index) const {
  const Scope scope("Embedding", index.where());
  const Tensor rows = embedding(index, weight);
  return padding_idx ? where(unsqueeze(*index == *padding_idx, -1), rows.detach(), rows) : rows;
}

}  // namespace gradus::nn
