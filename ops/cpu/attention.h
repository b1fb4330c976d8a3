#pragma once
// Scaled dot-product attention without the matrix of probabilities, and rotary position embedding.

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::cpu {

struct AttentionSettings {
  double scale = 1;
  bool is_causal = false;
  double dropout_p = 0;
  GeneratorState dropout_state = {};
  Tensor mask = {};         ///< added to the scores: [..., T, S], may be expanded; undefined: none
  Tensor log_sum_exp = {};  ///< of the scores of each query: [..., T], contiguous, in the dtype of the computation
};

/// y = dropout(softmax(q·kᵀ·scale + mask))·v, a block of queries and keys at a time; also fills log_sum_exp.
/// q: [..., T, E], k: [..., S, E], v: [..., S, Ev], y: [..., T, Ev], of any strides.
void attention(const AttentionSettings& settings, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y);
/// Its gradients, from the result y and log_sum_exp; the probabilities are computed again.
void attention_backward(const AttentionSettings& settings, const Tensor& dy, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& y, const Tensor& dq, const Tensor& dk, const Tensor& dv);

/// Turns each pair (x[2i], x[2i + 1]) of x: [..., T, E] by the angle whose sine and cosine stand in the same places of
/// table: [T, E] (float64); backwards if `inverse`. y is contiguous.
void rotary(const Tensor& x, const Tensor& table, bool inverse, const Tensor& y);

}  // namespace gradus::cpu
