#pragma once
// Multi-head attention: Vaswani et al., "Attention is all you need", 2017.

#include <optional>

#include "core/arg.h"
#include "nn/linear.h"
#include "nn/module.h"

namespace gradus::nn {

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< of the attention probabilities, in training
  bool bias = true;
  std::optional<int64_t> kdim = {}, vdim = {};  ///< the size of keys and values; none: embed_dim
  bool batch_first = false;                     ///< sequences are [B, T, E] instead of [T, B, E]
};

/// What queries may not look at. As in PyTorch's layers a bool mask is true where they may *not*, the reverse of that
/// of scaled_dot_product_attention; masks of floating-point numbers are added to the scores.
struct AttentionMask {
  Tensor attn_mask = {};         ///< [T, S], or [B·num_heads, T, S]
  Tensor key_padding_mask = {};  ///< [B, S]
  bool is_causal = false;        ///< a position looks at itself and at those before it, only
};

/// The keys and values of the positions seen so far, for generation a token at a time: a layer that is given one takes
/// what it holds as the beginning of the sequence, and adds to it. Starts empty; `cache = {}` begins a new sequence.
struct KeyValueCache {
  Tensor key = {}, value = {};  ///< [B, num_heads, S, E / num_heads]
  int64_t length() const { return key.defined() ? key.size(2) : 0; }
};

/// Attention in several subspaces (heads) side by side.
struct MultiheadAttention {
  Tensor in_proj_weight;                               ///< [3·E, E]: of queries, keys and values; or, if these differ,
  Tensor q_proj_weight, k_proj_weight, v_proj_weight;  ///< [E, E], [E, kdim], [E, vdim]
  Tensor in_proj_bias;                                 ///< [3·E]; undefined without a bias
  Linear out_proj;
  int64_t num_heads;
  double dropout;
  bool batch_first;
  Training training = {};

  /// The weights are Xavier-uniform, the biases are 0, as in PyTorch. num_heads must divide embed_dim.
  MultiheadAttention(int64_t embed_dim, int64_t num_heads, const MultiheadAttentionOptions& options = {},
                     Location where = Location::here());

  /// query: [T, B, E], key: [S, B, kdim] and value: [S, B, vdim] (with batch_first [B, T, E] …; or without B). The
  /// result has the shape of query.
  Tensor operator()(const Arg& query, const Tensor& key, const Tensor& value, const AttentionMask& mask = {},
                    KeyValueCache* cache = nullptr) const;

  /// How much each query attends to each key, without dropout: [B, T, S], the average over the heads, or [B, num_heads,
  /// T, S]; without B if the query has none. To look at: operator() never holds this matrix.
  Tensor attention_weights(const Arg& query, const Tensor& key, const AttentionMask& mask = {},
                           bool average_attn_weights = true) const;

  GRADUS_FIELDS(in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, out_proj, num_heads, dropout,
                batch_first, training)

 private:
  /// What each head finds, [B, num_heads, T, …]: the attention itself if there is no value.
  Tensor attend(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask,
                KeyValueCache* cache) const;
  void check(const Tensor& query, const Tensor& key, const Tensor& value) const;
};

}  // namespace gradus::nn
