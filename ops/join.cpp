#include "ops/join.h"

#include <algorithm>

#include "ops/apply.h"
#include "ops/create.h"
#include "ops/kernels.h"
#include "ops/view.h"

namespace gradus {
namespace {

/// The step behind cat, which has any number of inputs. The gradient of each is its slice of dy.
class Cat final : public Node {
 public:
  Cat(const Tensor& output, std::span<const Tensor> tensors, int dim) : Node(output), dim_(dim) {
    for (const Tensor& x : tensors) {
      inputs_.push_back(x.node());
      sizes_.push_back(x.shape()[dim]);
    }
  }

  std::span<const Ref<Node>> inputs() const override { return inputs_; }
  const char* operation() const override { return "cat"; }
  std::string formula(std::span<const std::string> names) const override {
    std::string text = "cat([";
    for (const std::string& name : names) text += name + ", ";
    text.resize(text.size() - 2);
    return text + "], " + std::to_string(dim_) + ")";
  }
  Tensor again(std::span<const Tensor> x) const override { return cat(x, dim_, where()); }
  void backward(const Tensor& dy, std::span<Tensor> gradients) override {
    int64_t start = 0;
    for (size_t i = 0; i < inputs_.size(); start += sizes_[i++])
      if (inputs_[i] && inputs_[i]->requires_grad())
        gradients[i] = to(narrow(dy, dim_, start, sizes_[i]), inputs_[i]->dtype());
  }

 private:
  int dim_;
  PooledVector<Ref<Node>> inputs_;
  PooledVector<int64_t> sizes_;  // along dim_
};

struct Pad {
  static constexpr Info info{"pad"};
  Shape before, from, shape;
  double value;

  Tensor forward(const Tensor& x) const {
    const Tensor y = full(shape, value, x.dtype(), x.device());
    int64_t offset = 0;
    for (int i = 0; i < shape.dim(); ++i) offset += before[i] * y.strides()[i];
    kernels(x).copy(x, y.alias(from, y.strides(), offset));
    return y;
  }
  Tensor backward(const Tensor& dy) const {
    Tensor dx = dy;
    for (int i = 0; i < shape.dim(); ++i)
      if (shape[i] != from[i]) dx = narrow(dx, i, before[i], from[i]);
    return dx;
  }
  std::string formula(std::span<const std::string> names) const {
    return "pad(" + names[0] + ", " + to_string(from) + " → " + to_string(shape) + ")";
  }
};

void require_some(std::span<const Tensor> tensors) {
  if (tensors.empty()) fail("there is no tensor to join");
}

}  // namespace

Tensor cat(std::span<const Tensor> tensors, int64_t dim, Location where) {
  const Scope scope("cat", where);
  require_some(tensors);
  const Tensor& first = tensors[0];
  if (first.dim() == 0) fail("scalars have no dimension to join along: use stack");
  const int at = normalize_dim(dim, first.dim());
  Shape shape = first.shape();
  Dtype dtype = first.dtype();
  bool needs_grad = first.needs_grad();
  for (size_t i = 1; i < tensors.size(); ++i) {
    const Tensor& x = tensors[i];
    Shape expected = first.shape();
    if (x.dim() == first.dim()) expected[at] = x.shape()[at];
    if (x.shape() != expected)
      fail("tensor 0 is " + to_string(first.shape()) + " and tensor " + std::to_string(i) + " is " +
           to_string(x.shape()) + "; all sizes but that of dimension " + std::to_string(at) + " must be equal");
    detail::check_same_device(first, x);
    shape[at] += x.shape()[at];
    dtype = promote(dtype, x.dtype());
    needs_grad = needs_grad || x.needs_grad();
  }
  const Tensor y = Tensor::empty(shape, dtype, first.device());
  int64_t start = 0;
  for (const Tensor& x : tensors) {
    kernels(y).copy_slices(compact(x, dtype), at, y, start);
    start += x.shape()[at];
  }
  if (needs_grad && grad_enabled()) {
    for (const Tensor& x : tensors) KeepValues::note(x);
    y.handle()->node = Ref<Node>(new Cat(y, tensors, at));
  }
  return y;
}

Tensor stack(std::span<const Tensor> tensors, int64_t dim, Location where) {
  const Scope scope("stack", where);
  require_some(tensors);
  const int at = normalize_dim(dim, tensors[0].dim() + 1);
  PooledVector<Tensor> rows;
  for (const Tensor& x : tensors) {
    if (x.shape() != tensors[0].shape())
      fail("tensor 0 is " + to_string(tensors[0].shape()) + " and tensor " + std::to_string(rows.size()) + " is " +
           to_string(x.shape()) + "; all must have the same shape");
    rows.push_back(unsqueeze(x, at));
  }
  return cat(rows, at);
}

Tensor pad(const Arg& x, const std::vector<int64_t>& padding, double value) {
  const Scope scope("pad", x.where());
  if (padding.size() % 2 != 0 || padding.size() > 2 * size_t(x->dim()))
    fail("x is " + to_string(x->shape()) + " and the length of the padding is " + std::to_string(padding.size()) +
         "; it takes two numbers for each dimension to be padded, from the last on");
  detail::check_holds(*x, value);
  Pad pad{x->shape(), x->shape(), x->shape(), value};
  for (int i = 0; i < x->dim(); ++i) {
    const size_t k = 2 * size_t(x->dim() - 1 - i);
    const int64_t before = k < padding.size() ? padding[k] : 0, after = k < padding.size() ? padding[k + 1] : 0;
    if (before < 0 || after < 0)
      fail("the padding must not be negative, as " + std::to_string(std::min(before, after)) +
           " is; narrow cuts elements off");
    pad.before[i] = before;
    if (__builtin_add_overflow(pad.shape[i], before, &pad.shape[i]) ||
        __builtin_add_overflow(pad.shape[i], after, &pad.shape[i]))
      fail("the result would be too large");
  }
  return apply(pad, x);
}

Tensor repeat(const Arg& x, const Shape& counts) {
  const Scope scope("repeat", x.where());
  if (counts.dim() < x->dim())
    fail("x is " + to_string(x->shape()) + "; the counts " + to_string(counts) + " are fewer than its dimensions");
  Shape shape = x->shape();
  while (shape.dim() < counts.dim()) shape.insert(0, 1);
  Shape repeated = shape;
  int64_t elements = x->numel();
  for (int i = 0; i < counts.dim(); ++i) {
    if (counts[i] < 0) fail("the counts " + to_string(counts) + " must not be negative");
    if (__builtin_mul_overflow(elements, counts[i], &elements) ||
        __builtin_mul_overflow(shape[i], counts[i], &repeated[i]))
      fail("the result would be too large");
  }
  Tensor y = reshape(x, shape);
  for (int i = shape.dim() - 1; i >= 0; --i) {  // a repeated dimension is two: the count, and what is repeated
    if (counts[i] == 1) continue;
    int64_t outer = 1, inner = 1;
    for (int j = 0; j < shape.dim(); ++j) (j < i ? outer : inner) *= shape[j];
    shape[i] = repeated[i];
    y = reshape(expand(reshape(y, {outer, 1, inner}), {outer, counts[i], inner}), shape);
  }
  return y;
}

Tensor roll(const Arg& x, int64_t shift, int64_t dim) {
  const Scope scope("roll", x.where());
  const int at = normalize_dim(dim, x->dim());
  const int64_t size = x->shape()[at];
  if (size == 0) return *x;
  const int64_t last = (shift % size + size) % size;  // so many go to the front
  return cat({narrow(x, at, size - last, last), narrow(x, at, 0, size - last)}, at);
}

}  // namespace gradus
