#include "nn/attention.h"

#include <cmath>

#include "nn/init.h"
#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus::nn {
namespace {

// A mask as what is to be added to the scores, added to another one (or none).
Tensor added(const Tensor& sum, const Tensor& mask, Dtype dtype) {
  const Tensor scores =
      mask.dtype() == boolean ? masked_fill(zeros(mask.shape(), dtype, mask.device()), mask, -INFINITY) : mask;
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
  const auto parameter = [](const Shape& shape) { return init::xavier_uniform_(Tensor::empty(shape)).requires_grad(); };
  const int64_t kdim = options.kdim.value_or(embed_dim), vdim = options.vdim.value_or(embed_dim);
  if (kdim < 1 || vdim < 1)
    fail("kdim is " + std::to_string(kdim) + " and vdim " + std::to_string(vdim) + "; both must be at least 1");
  if (kdim == embed_dim && vdim == embed_dim) {
    in_proj_weight = parameter({3 * embed_dim, embed_dim});
  } else {
    q_proj_weight = parameter({embed_dim, embed_dim});
    k_proj_weight = parameter({embed_dim, kdim});
    v_proj_weight = parameter({embed_dim, vdim});
  }
  if (!options.bias) return;
  in_proj_bias = zeros({3 * embed_dim}).requires_grad();
  out_proj.bias = zeros({embed_dim}).requires_grad();
}

void MultiheadAttention::check(const Tensor& query, const Tensor& key, const Tensor& value) const {
  const int64_t embed_dim = out_proj.weight.size(0);
  const int64_t kdim = in_proj_weight.defined() ? embed_dim : k_proj_weight.size(1),
                vdim = in_proj_weight.defined() ? embed_dim : v_proj_weight.size(1);
  const int batch_at = batch_first ? 0 : 1, dims = query.dim();
  Shape of_value = key.shape();
  if (dims > 0 && key.dim() == dims) of_value[dims - 1] = vdim;
  if ((dims == 2 || dims == 3) && key.dim() == dims && query.size(-1) == embed_dim && key.size(-1) == kdim &&
      (!value.defined() || value.shape() == of_value) && (dims == 2 || query.size(batch_at) == key.size(batch_at)))
    return;
  const std::string e = std::to_string(embed_dim), k = std::to_string(kdim), v = std::to_string(vdim),
                    t = batch_first ? "[B, T, " : "[T, B, ", s = batch_first ? "[B, S, " : "[S, B, ";
  fail("query is " + to_string(query.shape()) + ", key is " + to_string(key.shape()) +
       (value.defined() ? " and value is " + to_string(value.shape()) : "") + "; they must be " + t + e + "], " + s +
       k + "]" + (value.defined() ? " and " + s + v + "]" : "") + " (or without B)");
}

Tensor MultiheadAttention::operator()(const Arg& query, const Tensor& key, const Tensor& value,
                                      const AttentionMask& mask, KeyValueCache* cache) const {
  const Scope scope("MultiheadAttention", query.where());
  check(*query, key, value);
  const int batch_at = batch_first ? 0 : 1;
  if (query->dim() == 2)
    return squeeze(
        (*this)(unsqueeze(*query, batch_at), unsqueeze(key, batch_at), unsqueeze(value, batch_at), mask, cache),
        batch_at);
  const Tensor y = attend(*query, key, value, mask, cache);
  return out_proj(reshape(permute(y, batch_first ? Shape{0, 2, 1, 3} : Shape{2, 0, 1, 3}), query->shape()));
}

Tensor MultiheadAttention::attention_weights(const Arg& query, const Tensor& key, const AttentionMask& mask,
                                             bool average_attn_weights) const {
  const Scope scope("MultiheadAttention", query.where());
  check(*query, key, {});
  const int batch_at = batch_first ? 0 : 1;
  if (query->dim() == 2)
    return squeeze(attention_weights(unsqueeze(*query, batch_at), unsqueeze(key, batch_at), mask, average_attn_weights),
                   0);
  const Tensor weights = attend(*query, key, {}, mask, nullptr);
  return average_attn_weights ? mean(weights, 1) : weights;
}

Tensor MultiheadAttention::attend(const Tensor& query, const Tensor& key, const Tensor& value,
                                  const AttentionMask& mask, KeyValueCache* cache) const {
  // [B, H, T, E / H] views of projections [B, T, E] or [T, B, E].
  const int64_t embed_dim = out_proj.weight.size(0);
  const Shape order = batch_first ? Shape{0, 2, 1, 3} : Shape{1, 2, 0, 3};
  const auto heads = [&](const Tensor& x, const Tensor& own_weight, int64_t part) {
    const auto rows = [&](const Tensor& of) { return narrow(of, 0, part * embed_dim, embed_dim); };
    const Tensor y = linear(x, in_proj_weight.defined() ? rows(in_proj_weight) : own_weight,
                            in_proj_bias.defined() ? rows(in_proj_bias) : Tensor());
    return permute(reshape(y, {x.size(0), x.size(1), num_heads, embed_dim / num_heads}), order);
  };
  const Tensor q = heads(query, q_proj_weight, 0);
  Tensor k = heads(key, k_proj_weight, 1);
  // The mean of unit vectors is the weights themselves.
  Tensor v = value.defined() ? heads(value, v_proj_weight, 2) : eye(k.size(2), q.dtype());
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
    scores = added(
        scores, unsqueeze(arange(past, past + length, 1, int64, k.device()), 1) < arange(k.size(2), k.device()), dtype);
  const double dropout_p = training && value.defined() ? dropout : 0;
  return scaled_dot_product_attention(
      q, k, v, {.attn_mask = scores, .dropout_p = dropout_p, .is_causal = mask.is_causal && past == 0});
}

}  // namespace gradus::nn
