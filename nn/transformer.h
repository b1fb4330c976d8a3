#pragma once
// The layers of a Transformer: Vaswani et al., "Attention is all you need", 2017.

#include "core/arg.h"
#include "nn/attention.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "nn/norm.h"
#include "ops/activation.h"

namespace gradus::nn {

struct TransformerLayerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  Tensor (*activation)(const Arg&) = relu;  ///< between the two linear layers; any function, such as gelu
  double layer_norm_eps = 1e-5;
  bool batch_first = false;  ///< sequences are [B, T, E] instead of [T, B, E]
  bool norm_first = false;   ///< normalise what goes into attention and feed-forward, instead of the sum behind them
  bool bias = true;
};

/// What encoder and decoder layers have in common.
struct TransformerLayer {
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout;
  Tensor (*activation)(const Arg&);
  bool norm_first;

  TransformerLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options, Location where);

 protected:
  Tensor feed_forward(const Tensor& x) const { return dropout(linear2(dropout(activation(linear1(x))))); }
  /// x + f(norm(x)) with norm_first, else norm(x + f(x)).
  template <class F> Tensor residual(const Tensor& x, const LayerNorm& norm, const F& f) const {
    return norm_first ? x + f(norm(x)) : norm(x + f(x));
  }
};

/// Attention to the sequence itself, and a feed-forward network at each position. With a causal mask it is the layer of
/// a language model such as GPT.
struct TransformerEncoderLayer : TransformerLayer {
  TransformerEncoderLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options = {},
                          Location where = Location::here())
      : TransformerLayer(d_model, nhead, options, where) {}

  /// src: [T, B, E], or [B, T, E] with batch_first; the result has the same shape.
  Tensor operator()(const Arg& src, const AttentionMask& mask = {}, KeyValueCache* cache = nullptr) const;
  GRADUS_FIELDS(self_attn, linear1, linear2, norm1, norm2, dropout, activation, norm_first)
};

/// The same with attention to the encoder's result in between.
struct TransformerDecoderLayer : TransformerLayer {
  MultiheadAttention multihead_attn;
  LayerNorm norm3;

  TransformerDecoderLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options = {},
                          Location where = Location::here());

  /// tgt: [T, B, E] and memory: [S, B, E], or [B, T, E] and [B, S, E] with batch_first; the result has the shape of
  /// tgt.
  Tensor operator()(const Arg& tgt, const Tensor& memory, const AttentionMask& tgt_mask = {},
                    const AttentionMask& memory_mask = {}, KeyValueCache* cache = nullptr) const;
  GRADUS_FIELDS(self_attn, linear1, linear2, norm1, norm2, dropout, activation, norm_first, multihead_attn, norm3)
};

}  // namespace gradus::nn
