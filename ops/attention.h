#pragma once
// Attention, and what tells it where in a sequence something stands.

#include <optional>

#include "core/arg.h"
#include "core/random.h"

namespace gradus {

struct AttentionOptions {
  Tensor attn_mask = {};             ///< bool: true where a query may look at a key; otherwise added to the scores
  double dropout_p = 0;              ///< the probability with which a probability becomes 0, the others grow
  bool is_causal = false;            ///< query t looks at keys 0 … t only
  std::optional<double> scale = {};  ///< of the scores; 1/√E if not given
};

/// softmax(query·keyᵀ·scale + mask)·value: for each query, a mean of the values weighted by how well their keys fit
/// (Vaswani et al., "Attention is all you need", 2017). query: [..., T, E], key: [..., S, E], value: [..., S, Ev], the
/// dimensions before broadcast; attn_mask broadcasts to [..., T, S]. The result is [..., T, Ev]; 0 for a query that may
/// look at no key. The matrix [T, S] is never stored, in neither pass, unless attn_mask itself needs a gradient (Dao et
/// al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022).
Tensor scaled_dot_product_attention(const Arg& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options = {}, Generator& generator = default_generator());

/// Positions t = offset, offset + 1, … as vectors of sines and cosines, [length, dim] in float64: sin(t·base^(−2i/dim))
/// in column 2i, the cosine in column 2i + 1 (Vaswani et al., 2017).
Tensor sinusoidal_positions(int64_t length, int64_t dim, int64_t offset = 0, double base = 10000,
                            Location where = Location::here());

/// Rotary position embedding: turns the pair (x[2i], x[2i + 1]) at position t of x: [..., T, E] by t·base^(−2i/E), so
/// that products of queries and keys depend on their distance only. The first position is `offset` (Su et al.,
/// "RoFormer: enhanced transformer with rotary position embedding", 2021).
Tensor rotary(const Arg& x, int64_t offset = 0, double base = 10000);

}  // namespace gradus
