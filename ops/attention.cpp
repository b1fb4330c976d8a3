#include "ops/attention.h"

#include <algorithm>
#include <cmath>

#include "core/constant.h"
#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/kernels.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/trigonometric.h"
#include "ops/view.h"

namespace gradus {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The strides of new memory for the shape, its dimensions in the order in which those of `like` lie in memory (the last
// stays last): heads that are a view [B, H, T, E] of [B, T, H·E] give a result of that kind.
Strides strides_in_order_of(const Tensor& like, const Shape& shape) {
  const auto place = [&](int i) { return std::tuple(i == shape.dim() - 1, -like.strides()[i], i); };
  Strides strides = shape;
  for (int i = 0; i < shape.dim(); ++i) {
    strides[i] = 1;
    for (int j = 0; j < shape.dim(); ++j)
      if (place(j) > place(i)) strides[i] *= shape[j];  // it lies within
  }
  return strides;
}

Tensor empty_in_order_of(const Tensor& like, const Shape& shape) {
  return Tensor::empty(shape, like.dtype(), like.device()).alias(shape, strides_in_order_of(like, shape), 0);
}

struct Attention {
  static constexpr Info info{"scaled_dot_product_attention", "softmax($0 · $1ᵀ · scale) · $2"};
  static constexpr bool backward_is_kernel = true;
  kernel::AttentionSettings settings = {};

  Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v) const {
    Shape shape = q.shape();
    shape[shape.dim() - 1] = v.shape().back();
    const Tensor y = empty_in_order_of(q, shape);
    kernels(q).attention(settings, q, k, v, y);
    return y;
  }
  auto backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v, const SavedOutput& saved) const {
    // The saved output is the memory only; its strides are those that forward chose.
    const Tensor y = saved.alias(saved.shape(), strides_in_order_of(q, saved.shape()), 0);
    const Tensor dq = empty_in_order_of(q, q.shape()), dk = empty_in_order_of(k, k.shape()),
                 dv = empty_in_order_of(v, v.shape());
    kernels(q).attention_backward(settings, dy, q, k, v, y, dq, dk, dv);
    return std::tuple(dq, dk, dv);
  }
  Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v) const {
    Tensor scores = matmul(q, transpose(k, -2, -1)) * settings.scale, blind;
    if (settings.mask.defined()) scores = scores + to(settings.mask, q.dtype());
    if (settings.is_causal)
      scores =
          masked_fill(scores, unsqueeze(arange(q.size(-2), q.device()), 1) < arange(k.size(-2), q.device()), -infinity);
    if (settings.mask.defined()) {
      blind = all(scores == -infinity, -1, true);
      scores = masked_fill(scores, blind, 0);
    }
    const Tensor p = softmax(scores, -1);
    const Tensor seen = blind.defined() ? masked_fill(p, blind, 0) : p;
    if (settings.dropout_p == 0) return matmul(seen, v);
    return matmul(detail::dropout(seen, settings.dropout_p, settings.dropout_state), v);
  }
  void release() { settings.log_sum_exp = settings.mask = {}; }
};

/// Its own adjoint, but for the direction.
struct Rotary {
  static constexpr Info info{"rotary", "rotary($0)"};
  Tensor table;
  bool inverse;
  Tensor forward(const Tensor& x) const {
    const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
    kernels(x).rotary(x, table, inverse, y);
    return y;
  }
  Tensor backward(const Tensor& dy) const { return apply(Rotary{table, !inverse}, dy); }
};

Shape before_last_two(const Tensor& x) { return Shape(std::span(x.shape().begin(), size_t(x.dim() - 2))); }

Tensor with_batch(const Tensor& x, Shape shape) {
  shape.push_back(x.size(-2));
  shape.push_back(x.size(-1));
  return expand(x, shape);
}

// A mask as what is to be added to the scores, expanded to them.
Tensor additive(const Tensor& mask, const Shape& scores, Dtype dtype) {
  bool fits = mask.dim() <= scores.dim();
  for (int i = 1; fits && i <= mask.dim(); ++i) fits = mask.size(-i) == 1 || mask.size(-i) == scores[scores.dim() - i];
  if (!fits || mask.dtype() == int64)
    fail("attn_mask is " + to_string(mask.shape()) + " (" + to_string(mask.dtype()) +
         "); it must be bool or floating-point and broadcast to the scores, " + to_string(scores));
  const Tensor added = mask.dtype() == boolean
                           ? masked_fill(zeros(mask.shape(), dtype, mask.device()), logical_not(mask), -infinity)
                           : to(mask, dtype);
  Shape rows = mask.dim() ? mask.shape() : Shape{1};
  rows[rows.dim() - 1] = scores.back();
  return expand(contiguous(expand(added, rows)), scores);  // the kernel reads rows without gaps
}

}  // namespace

Tensor scaled_dot_product_attention(const Arg& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options, Generator& generator) {
  const Scope scope("scaled_dot_product_attention", query.where());
  if (query->dim() < 2 || key.dim() < 2 || value.dim() < 2 || query->size(-1) != key.size(-1) ||
      key.size(-2) != value.size(-2))
    fail("query is " + to_string(query->shape()) + ", key is " + to_string(key.shape()) + " and value is " +
         to_string(value.shape()) + "; they must be [..., T, E], [..., S, E] and [..., S, Ev]");
  for (const Tensor* x : {&*query, &key, &value})
    if (!is_floating_point(x->dtype()) || x->dtype() != query->dtype())
      fail("query, key and value hold " + to_string(query->dtype()) + ", " + to_string(key.dtype()) + " and " +
           to_string(value.dtype()) + "; all must be of one floating-point dtype");
  if (!(options.dropout_p >= 0 && options.dropout_p <= 1))
    fail("dropout_p must be a probability, not " + std::to_string(options.dropout_p));

  const Shape batch =
      broadcast_shapes(broadcast_shapes(before_last_two(*query), before_last_two(key)), before_last_two(value));
  const Tensor q = with_batch(*query, batch), k = with_batch(key, batch), v = with_batch(value, batch);
  Shape scores = q.shape(), rows = q.shape();
  scores[scores.dim() - 1] = k.size(-2);
  rows.erase(rows.dim() - 1);
  const Dtype computes_in = q.dtype() == bfloat16 ? float32 : q.dtype();
  Attention attention;
  kernel::AttentionSettings& settings = attention.settings;
  settings.scale = options.scale.value_or(1 / std::sqrt(double(std::max<int64_t>(1, q.size(-1)))));
  settings.is_causal = options.is_causal;
  settings.dropout_p = options.dropout_p;
  if (options.attn_mask.defined()) settings.mask = additive(options.attn_mask, scores, computes_in);
  if (options.dropout_p > 0) settings.dropout_state = generator.reserve(uint64_t(scores.numel() + 3) / 4, q.device());
  if (settings.mask.defined() && settings.mask.needs_grad() && grad_enabled()) return attention.plain(q, k, v);
  settings.log_sum_exp = Tensor::empty(rows, computes_in, q.device());
  return apply(attention, q, k, v);
}

Tensor sinusoidal_positions(int64_t length, int64_t dim, int64_t offset, double base, Location where) {
  const Scope scope("sinusoidal_positions", where);
  if (length < 0 || dim < 0 || dim % 2 != 0)
    fail("length is " + std::to_string(length) + " and dim " + std::to_string(dim) +
         "; they must not be negative, and dim must be even");
  const Tensor positions = unsqueeze(arange(double(offset), double(offset + length), 1, float64), 1);
  const Tensor angles = positions * exp(arange(0, double(dim), 2, float64) * (-std::log(base) / double(dim)));
  return reshape(stack({sin(angles), cos(angles)}, 2), {length, dim});
}

Tensor rotary(const Arg& x, int64_t offset, double base) {
  const Scope scope("rotary", x.where());
  if (!is_floating_point(x->dtype()) || x->dim() < 2 || x->size(-1) % 2 != 0)
    fail("x is " + to_string(x->shape()) + " (" + to_string(x->dtype()) +
         "); it must be floating-point and [..., T, E] with an even E");
  if (!(base > 0)) fail("base is " + std::to_string(base) + "; it must be positive");
  const int64_t length = x->size(-2), dim = x->size(-1);
  const Tensor table = constant("rotary", {double(length), double(dim), double(offset), base}, x->device(),
                                [&] { return sinusoidal_positions(length, dim, offset, base); });
  return apply(Rotary{table, false}, x);
}

}  // namespace gradus
