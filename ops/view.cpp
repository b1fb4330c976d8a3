#include "ops/view.h"

#include <algorithm>

#include "ops/apply.h"
#include "ops/assign.h"
#include "ops/create.h"
#include "ops/kernels.h"

namespace gradus {
namespace {

Tensor copy_of(const Tensor& x, Dtype dtype) {
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  kernels(x).copy(x, y);
  return y;
}

struct Identity {
  static constexpr Info info{"identity", "$0"};
  Tensor forward(const Tensor& x) const { return x.detach(); }
  Tensor backward(const Tensor& dy) const { return dy; }
};

struct Clone {
  static constexpr Info info{"clone", "$0"};
  Tensor forward(const Tensor& x) const { return copy_of(x, x.dtype()); }
  Tensor backward(const Tensor& dy) const { return dy; }
};

struct Cast {
  static constexpr Info info{"to", "$0"};
  Dtype dtype, from;
  Tensor forward(const Tensor& x) const { return copy_of(x, dtype); }
  Tensor backward(const Tensor& dy) const { return to(dy, from); }
};

struct Move {
  static constexpr Info info{"to", "$0"};
  Device device, from;
  Tensor forward(const Tensor& x) const { return compact(x).copied_to(device); }
  Tensor backward(const Tensor& dy) const { return to(dy, from); }
};

struct Reshape {
  static constexpr Info info{"reshape", "reshape($0)"};
  Shape shape, from;

  Tensor forward(const Tensor& x) const {
    Strides strides;
    if (x.is_contiguous()) return x.alias(shape, contiguous_strides(shape), x.offset());
    if (view_strides(x, strides)) return x.alias(shape, strides, x.offset());
    return copy_of(x, x.dtype()).alias(shape, contiguous_strides(shape), 0);
  }
  Tensor backward(const Tensor& dy) const { return reshape(dy, from); }

  // Strides of x in the new shape, if runs of its dimensions that are laid out without gaps can be cut accordingly.
  bool view_strides(const Tensor& x, Strides& strides) const {
    strides = shape;
    if (x.numel() == 0) return false;
    int j = shape.dim() - 1;
    for (int i = x.dim() - 1; i >= 0;) {
      int64_t run = x.shape()[i], step = x.strides()[i];
      const int64_t innermost = step;
      for (--i; i >= 0 && (x.shape()[i] == 1 || run == 1 || x.strides()[i] == step * run); --i) {
        if (run == 1) step = x.strides()[i];
        run *= x.shape()[i];
      }
      int64_t left = run, stride = run == 1 ? innermost : step;
      while (j >= 0 && left % shape[j] == 0 && (left > 1 || shape[j] == 1)) {
        strides[j] = stride;
        stride *= shape[j];
        left /= shape[j--];
      }
      if (left != 1) return false;
    }
    return true;
  }
};

struct Permute {
  static constexpr Info info{"permute", "$0ᵀ"};
  Shape order;

  Tensor forward(const Tensor& x) const {
    Shape shape = order;
    Strides strides = order;
    for (int i = 0; i < order.dim(); ++i) {
      shape[i] = x.shape()[int(order[i])];
      strides[i] = x.strides()[int(order[i])];
    }
    return x.alias(shape, strides, x.offset());
  }
  Tensor backward(const Tensor& dy) const {
    Shape inverse = order;
    for (int i = 0; i < order.dim(); ++i) inverse[int(order[i])] = i;
    return apply(Permute{inverse}, dy);
  }
  std::string formula(std::span<const std::string> names) const {
    if (order == Shape{1, 0}) return names[0] + "ᵀ";
    return "permute(" + names[0] + ", " + to_string(order) + ")";
  }
};

struct Expand {
  static constexpr Info info{"expand", "expand($0)"};
  Shape shape, from;

  Tensor forward(const Tensor& x) const {
    Strides strides = shape;
    const int added = shape.dim() - x.dim();
    for (int i = 0; i < shape.dim(); ++i)
      strides[i] = i < added || x.shape()[i - added] == 1 ? 0 : x.strides()[i - added];
    return x.alias(shape, strides, x.offset());
  }
  Tensor backward(const Tensor& dy) const { return sum_to(dy, from); }
};

/// Every `step`-th element of dimension `dim` from `start`; a negative step goes backwards.
struct Slice {
  static constexpr Info info{"slice", "slice($0)"};
  int dim;
  int64_t start, length, step;
  Shape from;

  Tensor forward(const Tensor& x) const {
    Shape shape = x.shape();
    Strides strides = x.strides();
    shape[dim] = length;
    strides[dim] *= step;
    return x.alias(shape, strides, x.offset() + start * x.strides()[dim]);
  }
  Tensor backward(const Tensor& dy) const;
  std::string formula(std::span<const std::string> names) const {
    const std::string range = std::to_string(start) + ":" + std::to_string(start + length * step) +
                              (step == 1 ? "" : ":" + std::to_string(step));
    std::string text = names[0] + "[";
    for (int i = 0; i < dim; ++i) text += ":, ";
    return text + range + "]";
  }
};

/// The adjoint of Slice: its input in a slice of zeros.
struct Place {
  static constexpr Info info{"place", "place($0)"};
  Slice at;
  Tensor forward(const Tensor& x) const {
    if (at.step == 1 && x.shape() == at.from) return x.detach();  // no zeros around it
    const Tensor y = zeros(at.from, x.dtype(), x.device());
    kernels(x).copy(x, at.forward(y));
    return y;
  }
  Tensor backward(const Tensor& dy) const { return apply(at, dy); }
};

Tensor Slice::backward(const Tensor& dy) const { return apply(Place{*this}, dy); }

}  // namespace

Tensor identity(const Tensor& x) { return apply(Identity{}, x); }

Tensor reshape(const Arg& x, const Shape& wanted) {
  const Scope scope("reshape", x.where());
  Shape shape = wanted;
  int64_t known = 1;
  int open = -1;
  for (int i = 0; i < shape.dim(); ++i) {
    if (shape[i] >= 0) known *= shape[i];
    else if (shape[i] == -1 && open < 0) open = i;
    else
      fail("the shape " + to_string(wanted) +
           " is not possible: at most one size may be -1, the others are not negative");
  }
  if (open >= 0 && known != 0) shape[open] = x->numel() / known;
  if ((open >= 0 && known == 0) || shape.numel() != x->numel())
    fail("x is " + to_string(x->shape()) + " with " + std::to_string(x->numel()) +
         " elements, which do not fill the shape " + to_string(wanted));
  if (shape == x->shape()) return *x;
  return apply(Reshape{shape, x->shape()}, x);
}

Tensor flatten(const Arg& x, int64_t start, int64_t end) {
  const Scope scope("flatten", x.where());
  if (x->dim() == 0) return reshape(x, {1});
  const int first = normalize_dim(start, x->dim()), last = normalize_dim(end, x->dim());
  if (first > last)
    fail("the first dimension (" + std::to_string(start) + ") comes after the last (" + std::to_string(end) + ")");
  Shape shape;
  int64_t merged = 1;
  for (int i = 0; i < x->dim(); ++i) {
    if (i < first || i > last) shape.push_back(x->shape()[i]);
    else merged *= x->shape()[i];
    if (i == last) shape.push_back(merged);
  }
  return reshape(x, shape);
}

Tensor squeeze(const Arg& x) {
  const Scope scope("squeeze", x.where());
  Shape shape;
  for (int64_t size : x->shape())
    if (size != 1) shape.push_back(size);
  return reshape(x, shape);
}

Tensor squeeze(const Arg& x, int64_t dim) {
  const Scope scope("squeeze", x.where());
  Shape shape = x->shape();
  const int at = normalize_dim(dim, shape.dim());
  if (shape[at] != 1) fail("dimension " + std::to_string(dim) + " of " + to_string(shape) + " does not have size 1");
  shape.erase(at);
  return reshape(x, shape);
}

Tensor unsqueeze(const Arg& x, int64_t dim) {
  const Scope scope("unsqueeze", x.where());
  Shape shape = x->shape();
  shape.insert(normalize_dim(dim, shape.dim() + 1), 1);
  return reshape(x, shape);
}

Tensor permute(const Arg& x, const Shape& order) {
  const Scope scope("permute", x.where());
  Shape dims;
  unsigned named = 0;
  for (int64_t dim : order) dims.push_back(normalize_dim(dim, x->dim())), named |= 1u << dims.back();
  if (order.dim() != x->dim() || named != (1u << x->dim()) - 1)
    fail("x is " + to_string(x->shape()) + "; the order " + to_string(order) + " must name each dimension once");
  return apply(Permute{dims}, x);
}

Tensor transpose(const Arg& x, int64_t dim0, int64_t dim1) {
  const Scope scope("transpose", x.where());
  Shape order;
  for (int i = 0; i < x->dim(); ++i) order.push_back(i);
  std::swap(order[normalize_dim(dim0, x->dim())], order[normalize_dim(dim1, x->dim())]);
  return apply(Permute{order}, x);
}

Tensor t(const Arg& x) {
  const Scope scope("t", x.where());
  if (x->dim() != 2)
    fail("x is " + to_string(x->shape()) + "; only a matrix has a transpose: use transpose or permute");
  return apply(Permute{{1, 0}}, x);
}

Tensor expand(const Arg& x, const Shape& wanted) {
  const Scope scope("expand", x.where());
  const int added = wanted.dim() - x->dim();
  bool possible = added >= 0;
  double elements = 1;
  Shape shape = wanted;
  for (int i = 0; possible && i < shape.dim(); ++i) {
    const int64_t size = i < added ? 1 : x->shape()[i - added];
    if (shape[i] == -1 && i >= added) shape[i] = size;
    possible = shape[i] >= 0 && (size == 1 || size == shape[i]);
    elements *= double(shape[i]);
  }
  if (!possible)
    fail("x is " + to_string(x->shape()) + ", which does not broadcast to " + to_string(wanted) +
         "; each size must be 1 or equal, counted from the last");
  if (elements >= 0x1p63) fail("the shape " + to_string(wanted) + " has more elements than int64 can count");
  if (shape == x->shape()) return *x;
  return apply(Expand{shape, x->shape()}, x);
}

Tensor expand_as(const Arg& x, const Tensor& other) { return expand(x, other.shape()); }

Tensor slice(const Arg& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  const Scope scope("slice", x.where());
  const int at = normalize_dim(dim, x->dim());
  if (step < 1) fail("the step must be positive, not " + std::to_string(step) + "; flip reverses a dimension");
  const int64_t size = x->shape()[at];
  const auto position = [&](int64_t p) { return std::clamp(p < 0 ? p + size : p, int64_t(0), size); };
  const int64_t first = position(start), last = position(end);
  const int64_t length = first < last ? (last - first - 1) / step + 1 : 0;
  return apply(Slice{at, first, length, step, x->shape()}, x);
}

Tensor narrow(const Arg& x, int64_t dim, int64_t start, int64_t length) {
  const Scope scope("narrow", x.where());
  const int at = normalize_dim(dim, x->dim());
  const int64_t size = x->shape()[at];
  if (start < 0 || length < 0 || start > size - length)
    fail("elements " + std::to_string(start) + " to " + std::to_string(start + length) + " do not lie in dimension " +
         std::to_string(dim) + " of " + to_string(x->shape()));
  return apply(Slice{at, start, length, 1, x->shape()}, x);
}

Tensor select(const Arg& x, int64_t dim, int64_t index) {
  const Scope scope("select", x.where());
  const int at = normalize_dim(dim, x->dim());
  const int64_t size = x->shape()[at];
  if (index < -size || index >= size)
    fail("index " + std::to_string(index) + " is out of range for dimension " + std::to_string(dim) + " of " +
         to_string(x->shape()));
  return squeeze(narrow(x, at, index < 0 ? index + size : index, 1), at);
}

Tensor flip(const Arg& x, const Shape& dims) {
  const Scope scope("flip", x.where());
  Tensor y = *x;
  for (int64_t dim : dims) {
    const int at = normalize_dim(dim, y.dim());
    y = apply(Slice{at, std::max<int64_t>(y.shape()[at] - 1, 0), y.shape()[at], -1, y.shape()}, y);
  }
  return y;
}

std::vector<Tensor> split(const Arg& x, const std::vector<int64_t>& sizes, int64_t dim) {
  const Scope scope("split", x.where());
  int64_t start = 0;
  for (int64_t size : sizes) start += size;
  if (start != x->size(dim))
    fail("the sizes add up to " + std::to_string(start) + ", but dimension " + std::to_string(dim) + " of " +
         to_string(x->shape()) + " is " + std::to_string(x->size(dim)));
  std::vector<Tensor> parts;
  start = 0;
  for (int64_t size : sizes) {
    parts.push_back(narrow(x, dim, start, size));
    start += size;
  }
  return parts;
}

std::vector<Tensor> split(const Arg& x, int64_t size, int64_t dim) {
  const Scope scope("split", x.where());
  if (size < 1) fail("the size of the parts must be positive, not " + std::to_string(size));
  std::vector<int64_t> sizes;
  for (int64_t left = x->size(dim); left > 0; left -= size) sizes.push_back(std::min(size, left));
  return split(x, sizes, dim);
}

std::vector<Tensor> chunk(const Arg& x, int64_t count, int64_t dim) {
  const Scope scope("chunk", x.where());
  if (count < 1) fail("the number of parts must be positive, not " + std::to_string(count));
  return split(x, std::max<int64_t>(1, (x->size(dim) + count - 1) / count), dim);
}

Tensor clone(const Arg& x) { return apply(Clone{}, x); }

Tensor contiguous(const Arg& x) {
  const Scope scope("contiguous", x.where());
  return x->is_contiguous() ? *x : apply(Clone{}, x);
}

Tensor to(const Arg& x, Dtype dtype) {
  const Scope scope("to", x.where());
  if (x->dtype() == dtype) return *x;
  const Cast cast{dtype, x->dtype()};
  return is_floating_point(dtype) ? apply(cast, x) : cast.forward(*x);
}

Tensor to(const Arg& x, Device device) {
  const Scope scope("to", x.where());
  return x->device() == device ? *x : apply(Move{device, x->device()}, x);
}

}  // namespace gradus
