// Attention and rotary positions: calls, input shapes and definitions in simpler operations.

#include <cmath>

#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/matmul.h"
#include "ops/softmax.h"
#include "ops/trigonometric.h"
#include "ops/view.h"
#include "tests/op_samples.h"

namespace gradus::samples {
namespace {

using X = Inputs;

// The definition, with the mask given as what is added to the scores.
Tensor definition(X x, double scale, const Tensor& mask = {}) {
  const Tensor scores = matmul(x[0], transpose(x[1], -2, -1)) * scale;
  return matmul(softmax(mask.defined() ? scores + to(mask, scores.dtype()) : scores, -1), x[2]);
}

// −∞ where the condition holds, 0 elsewhere.
Tensor hidden(const Tensor& condition) { return masked_fill(zeros(condition.shape()), condition, -INFINITY); }

}  // namespace

std::vector<Sample> attention_samples() {
  const Tensor sees = tensor({1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1}) > 0;
  const auto mask = [=] { return reshape(sees, {3, 5}); };
  return {
      {"scaled_dot_product_attention(query, key, value)",
       {{2, 3, 4}, {2, 5, 4}, {2, 5, 3}},
       [](X x) { return scaled_dot_product_attention(x[0], x[1], x[2]); },
       [](X x) { return definition(x, 0.5); }},
      {"scaled_dot_product_attention(query, key, value, {.is_causal = true, .scale = 0.7})",
       {{2, 2, 3, 4}, {2, 1, 4, 4}, {4, 2}},
       [](X x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = true, .scale = 0.7}); },
       [](X x) { return definition(x, 0.7, hidden(unsqueeze(arange(3), 1) < arange(4))); }},
      {"scaled_dot_product_attention(query, key, value, {.attn_mask = mask})",
       {{3, 4}, {2, 5, 4}, {2, 5, 1}},
       [=](X x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.attn_mask = beside(x, mask())}); },
       [=](X x) { return definition(x, 0.5, hidden(logical_not(mask()))); }},
      {"scaled_dot_product_attention(query, key, value, {.attn_mask = mask, .dropout_p = 0.3})",
       {{2, 3, 4}, {2, 5, 4}, {2, 5, 2}, {2, 1, 5}},
       [](X x) {
         Generator generator(5);
         return scaled_dot_product_attention(x[0], x[1], x[2], {.attn_mask = x[3], .dropout_p = 0.3}, generator);
       },
       [](X x) {
         Generator generator(5);
         const Tensor scores = matmul(x[0], transpose(x[1], -2, -1)) * 0.5 + x[3];
         return matmul(dropout(softmax(scores, -1), 0.3, true, generator), x[2]);
       }},
      {"rotary(x, 3, 100)",
       {{2, 5, 4}},
       [](X x) { return rotary(x[0], 3, 100); },
       [](X x) {
         const Tensor angle = unsqueeze(arange(3, 8, 1, float64), 1) * tensor({1, 0.1}, float64);
         const Tensor even = slice(x[0], 2, 0, 4, 2), odd = slice(x[0], 2, 1, 4, 2);
         const Tensor c = to(cos(angle), even.dtype()), s = to(sin(angle), even.dtype());
         return reshape(stack({even * c - odd * s, even * s + odd * c}, 3), {2, 5, 4});
       }},
  };
}

}  // namespace gradus::samples
