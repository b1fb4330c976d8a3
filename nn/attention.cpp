#include "nn/attention.h"

#include <cmath>

#include "nn/init.h"
#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/view.h"

namespace gradus::nn {
namespace {

// A mask as what is to be added to the scores, added to another one (or none).
Tensor added(const Tensor& sum, const Tensor& mask, Dtype dtype) {
  const Tensor scores = mask.dtype() == boolean ? masked_fill(zeros(mask.shape(), dtype), mask, -INFINITY) : mask;
  return sum.defined() ? sum + scores : scores;
}

}  // namespace

MultiheadAttention::MultiheadAttention(int64_t embed_dim, int64_t heads, const MultiheadAttentionOptions& options,
                                       Location where)
    : out_proj(embed_dim, embed_dim, {.bias = options.bias}, where),
      num_heads(heads),
      dropout(options.dropout),
      batch_first(options.batch_first) {
  const Scope scope("MultiheadAttention", where);
  if (heads < 1 || embed_dim % heads != 0)
    fail("embed_dim is " + std::to_string(embed_dim) + " and num_heads " + std::to_string(heads) +
         "; the heads must divide the dimension evenly");
  in_proj_weight = init::xavier_uniform_(Tensor::empty({3 * embed_dim, embed_dim})).requires_grad();
  if (!options.bias) return;
  in_proj_bias = zeros({3 * embed_dim}).requires_grad();
  out_proj.bias = zeros({embed_dim}).requires_grad();
}

Tensor MultiheadAttention::operator()(const Arg& query, const Tensor& key, const Tensor& value,
                                      const AttentionMask& mask, KeyValueCache* cache) const {
  const Scope scope("MultiheadAttention", query.where());
  const int64_t embed_dim = in_proj_weight.size(1);
  const int batch_at = batch_first ? 0 : 1, dims = query->dim();
  if ((dims != 2 && dims != 3) || key.dim() != dims || key.shape() != value.shape() || query->size(-1) != embed_dim ||
      key.size(-1) != embed_dim || (dims == 3 && query->size(batch_at) != key.size(batch_at)))
    fail("query is " + to_string(query->shape()) + ", key is " + to_string(key.shape()) + " and value is " +
         to_string(value.shape()) + "; they must be " +
         (batch_first ? "[B, T, E], [B, S, E] and [B, S, E]" : "[T, B, E], [S, B, E] and [S, B, E]") +
         " (or without B), with E = " + std::to_string(embed_dim));
  if (dims == 2)
    return squeeze(
        (*this)(unsqueeze(*query, batch_at), unsqueeze(key, batch_at), unsqueeze(value, batch_at), mask, cache),
        batch_at);

  // [B, H, T, E / H] views of projections [B, T, E] or [T, B, E], and back.
  const std::vector<int64_t> order = batch_first ? std::vector<int64_t>{0, 2, 1, 3} : std::vector<int64_t>{1, 2, 0, 3},
                             inverse = batch_first ? order : std::vector<int64_t>{2, 0, 1, 3};
  const auto heads = [&](const Tensor& x, int64_t part) {
    const auto rows = [&](const Tensor& of) { return narrow(of, 0, part * embed_dim, embed_dim); };
    const Tensor y = linear(x, rows(in_proj_weight), in_proj_bias.defined() ? rows(in_proj_bias) : Tensor());
    return permute(reshape(y, {x.size(0), x.size(1), num_heads, embed_dim / num_heads}), order);
  };
  const Tensor q = heads(*query, 0);
  Tensor k = heads(key, 1), v = heads(value, 2);
  const int64_t past = cache ? cache->length() : 0, batch = q.size(0), length = q.size(2);
  if (past > 0) {
    k = cat({cache->key, k}, 2);
    v = cat({cache->value, v}, 2);
  }
  if (cache) *cache = {k, v};

  const Dtype dtype = q.dtype();
  Tensor scores;
  if (mask.attn_mask.defined())
    scores = added(
        scores,
        mask.attn_mask.dim() == 3 ? reshape(mask.attn_mask, {batch, num_heads, length, k.size(2)}) : mask.attn_mask,
        dtype);
  if (mask.key_padding_mask.defined())
    scores = added(scores, reshape(mask.key_padding_mask, {batch, 1, 1, k.size(2)}), dtype);
  if (mask.is_causal && past > 0)  // the queries stand at the end of the keys
    scores = added(scores, unsqueeze(arange(past, past + length), 1) < arange(k.size(2)), dtype);
  const Tensor y = scaled_dot_product_attention(
      q, k, v, {.attn_mask = scores, .dropout_p = training ? dropout : 0, .is_causal = mask.is_causal && past == 0});
  return out_proj(reshape(permute(y, inverse), query->shape()));
}

}  // namespace gradus::nn
