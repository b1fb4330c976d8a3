#include "ops/matmul.h"

#include "ops/activation.h"
#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/kernels.h"
#include "ops/view.h"

namespace gradus {
namespace {

/// A product of matrices or of stacks of them, each taken as it is or transposed.
struct MatMul {
  static constexpr Info info{"matmul"};
  bool transpose_a = false, transpose_b = false;

  Tensor forward(const Tensor& a, const Tensor& b) const {
    Shape shape = a.shape();
    const int d = shape.dim();
    shape[d - 2] = a.shape()[transpose_a ? d - 1 : d - 2];
    shape[d - 1] = b.shape()[transpose_b ? d - 2 : d - 1];
    const Tensor y = Tensor::empty(shape, a.dtype(), a.device());
    kernels(y).matmul(a, transpose_a, b, transpose_b, {}, false, y);
    return y;
  }
  auto backward(const Tensor& dy, const Tensor& a, const Tensor& b) const {
    return std::tuple(
        [&] {
          return transpose_a ? apply(MatMul{transpose_b, true}, b, dy) : apply(MatMul{false, !transpose_b}, dy, b);
        },
        [&] {
          return transpose_b ? apply(MatMul{true, transpose_a}, dy, a) : apply(MatMul{!transpose_a, false}, a, dy);
        });
  }
  std::string formula(std::span<const std::string> names) const {
    return names[0] + (transpose_a ? "ᵀ · " : " · ") + names[1] + (transpose_b ? "ᵀ" : "");
  }
};

/// x·weightᵀ + bias, or its ReLU. x: [rows, in], weight: [out, in], bias: [out].
struct Linear {
  static constexpr Info info{"linear"};
  bool with_relu;

  Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor y = Tensor::empty({x.shape()[0], weight.shape()[0]}, x.dtype(), x.device());
    kernels(y).matmul(x, false, weight, true, bias, with_relu, y);
    return y;
  }
  auto backward(const Tensor& dy, const Tensor& x, const Tensor& weight, Unused, const SavedOutput& y) const {
    Tensor dsum = with_relu ? relu_backward(dy, y) : dy;  // not const: a function copies a constant when it is moved
    return std::tuple([&, dsum] { return apply(MatMul{}, dsum, weight); },
                      [&, dsum] { return apply(MatMul{.transpose_a = true}, dsum, x); },
                      [dsum] { return sum_to(dsum, {dsum.shape()[1]}); });
  }
  bool reads_output() const { return with_relu; }
  Tensor plain(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    const Tensor sum = matmul(x, t(weight)) + bias;
    return with_relu ? relu(sum) : sum;
  }
  std::string formula(std::span<const std::string> names) const {
    const std::string sum = names[0] + " · " + names[1] + "ᵀ + " + names[2];
    return with_relu ? "relu(" + sum + ")" : sum;
  }
};

void require_floating_point(const Tensor& x) {
  if (!is_floating_point(x.dtype()))
    fail("matrix products are for floating-point tensors, not " + to_string(x.dtype()) +
         "; convert it first: to(x, float32)");
}

Dtype common_dtype(const Tensor& a, const Tensor& b) {
  require_floating_point(a);
  require_floating_point(b);
  return promote(a.dtype(), b.dtype());
}

}  // namespace

Tensor matmul(const Arg& first, const Arg& second) {
  const Scope scope("matmul", first.where());
  if (first->dim() == 0 || second->dim() == 0)
    fail("a is " + to_string(first->shape()) + " and b is " + to_string(second->shape()) +
         "; a scalar has no matrix product: use a * b");
  const Dtype dtype = common_dtype(*first, *second);
  Tensor a = to(*first, dtype), b = to(*second, dtype);
  const bool row = a.dim() == 1, column = b.dim() == 1;
  if (row) a = unsqueeze(a, 0);
  if (column) b = unsqueeze(b, 1);
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  if (k != b.size(-2))
    fail("a is " + to_string(first->shape()) + " and b is " + to_string(second->shape()) +
         "; the last dimension of a (" + std::to_string(k) + ") must equal the " +
         (column ? "only dimension" : "first but one") + " of b (" + std::to_string(b.size(-2)) + ")");

  Tensor y;
  if (a.dim() == 2 && b.dim() == 2) {
    y = apply(MatMul{}, a, b);
  } else {
    const Shape batch = broadcast_shapes(Shape(std::span(a.shape().begin(), size_t(a.dim() - 2))),
                                         Shape(std::span(b.shape().begin(), size_t(b.dim() - 2))));
    const auto with = [&](Shape shape, int64_t rows, int64_t columns) {
      shape.push_back(rows);
      shape.push_back(columns);
      return shape;
    };
    if (b.dim() == 2) {  // one matrix for the whole batch: one large product
      y = apply(MatMul{}, reshape(a, {batch.numel() * m, k}), b);
    } else {
      const int64_t count = batch.numel();
      y = apply(MatMul{}, reshape(expand(a, with(batch, m, k)), {count, m, k}),
                reshape(expand(b, with(batch, k, n)), {count, k, n}));
    }
    y = reshape(y, with(batch, m, n));
  }
  if (row) y = squeeze(y, -2);
  if (column) y = squeeze(y, -1);
  return y;
}

Tensor linear(const Arg& x, const Tensor& weight, const Tensor& bias, LinearOptions options) {
  const Scope scope("linear", x.where());
  const Shape& shape = x->shape();
  if (weight.dim() != 2 || shape.dim() == 0 || shape.back() != weight.shape()[1])
    fail("x is " + to_string(shape) + " and weight is " + to_string(weight.shape()) +
         "; the last dimension of x must equal the last of weight [out, in]");
  if (bias.defined() && bias.shape() != Shape{weight.shape()[0]})
    fail("weight is " + to_string(weight.shape()) + " and bias is " + to_string(bias.shape()) + "; bias must be [" +
         std::to_string(weight.shape()[0]) + "]");
  if (!bias.defined()) return options.relu ? relu(matmul(x, t(weight))) : matmul(x, t(weight));
  const Dtype dtype = common_dtype(*x, weight);
  if (x->dtype() != dtype || weight.dtype() != dtype || bias.dtype() != dtype) {
    const Tensor input = to(*x, dtype), w = to(weight, dtype), b = to(bias, dtype);  // recorded in this order
    return linear(input, w, b, options);
  }
  if (shape.dim() == 2) return apply(Linear{options.relu}, *x, weight, bias);
  Shape result = shape;
  result[result.dim() - 1] = weight.shape()[0];
  return reshape(apply(Linear{options.relu}, reshape(*x, {-1, shape.back()}), weight, bias), result);
}

}  // namespace gradus
