#include "nn/transformer.h"

#include "ops/arithmetic.h"

namespace gradus::nn {
namespace {

MultiheadAttentionOptions attention_of(const TransformerLayerOptions& options) {
  return {.dropout = options.dropout, .bias = options.bias, .batch_first = options.batch_first};
}
LayerNormOptions norm_of(const TransformerLayerOptions& options) {
  return {.eps = options.layer_norm_eps, .bias = options.bias};
}

}  // namespace

TransformerLayer::TransformerLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options,
                                   Location where)
    : self_attn(d_model, nhead, attention_of(options), where),
      linear1(d_model, options.dim_feedforward, {.bias = options.bias}, where),
      linear2(options.dim_feedforward, d_model, {.bias = options.bias}, where),
      norm1(d_model, norm_of(options), where),
      norm2(d_model, norm_of(options), where),
      dropout{options.dropout},
      activation(options.activation),
      norm_first(options.norm_first) {}

Tensor TransformerEncoderLayer::operator()(const Arg& src, const AttentionMask& mask, KeyValueCache* cache) const {
  const Scope scope("TransformerEncoderLayer", src.where());
  const Tensor x = residual(*src, norm1, [&](const Tensor& y) { return dropout(self_attn(y, y, y, mask, cache)); });
  return residual(x, norm2, [&](const Tensor& y) { return feed_forward(y); });
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options,
                                                 Location where)
    : TransformerLayer(d_model, nhead, options, where),
      multihead_attn(d_model, nhead, attention_of(options), where),
      norm3(d_model, norm_of(options), where) {}

Tensor TransformerDecoderLayer::operator()(const Arg& tgt, const Tensor& memory, const AttentionMask& tgt_mask,
                                           const AttentionMask& memory_mask, KeyValueCache* cache) const {
  const Scope scope("TransformerDecoderLayer", tgt.where());
  Tensor x = residual(*tgt, norm1, [&](const Tensor& y) { return dropout(self_attn(y, y, y, tgt_mask, cache)); });
  x = residual(x, norm2, [&](const Tensor& y) { return dropout(multihead_attn(y, memory, memory, memory_mask)); });
  return residual(x, norm3, [&](const Tensor& y) { return feed_forward(y); });
}

}  // namespace gradus::nn
