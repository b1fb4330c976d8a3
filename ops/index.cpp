#include "ops/index.h"

#include <algorithm>

#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/create.h"
#include "ops/kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus {
namespace {

// Sums of bfloat16 numbers are gathered in float32.
template <class AddKernel>
Tensor sums(const Tensor& x, int dim, const Tensor& index, const Shape& shape, AddKernel&& add) {
  const Dtype dtype = x.dtype() == bfloat16 ? float32 : x.dtype();
  const Tensor y = zeros(shape, dtype, x.device());
  add(compact(x, dtype), dim, index, y);
  return compact(y, x.dtype());
}

/// x: [..., size, ...], index: [n...] → [..., n..., ...].
struct IndexSelect {
  static constexpr Info info{"index_select"};
  int dim;
  Shape from;  // the shape of x

  Tensor forward(const Tensor& x, const Tensor& index) const {
    Shape shape = from;
    shape.erase(dim);
    for (int i = 0; i < index.dim(); ++i) shape.insert(dim + i, index.shape()[i]);
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    kernels(y).select_slices(compact(x), dim, index, y);
    return y;
  }
  Tensor backward(const Tensor& dy, Unused, const Tensor& index) const;
  std::string formula(std::span<const std::string> names) const {
    std::string text = names[0] + "[";
    for (int i = 0; i < dim; ++i) text += ":, ";
    return text + names[1] + "]";
  }
};

/// Its adjoint: slices added at their places in zeros of the given shape.
struct IndexSum {
  static constexpr Info info{"index_add"};
  int dim;
  Shape shape;

  Tensor forward(const Tensor& x, const Tensor& index) const {
    return sums(x, dim, index, shape, kernels(x).add_slices);
  }
  Tensor backward(const Tensor& dy, Unused, const Tensor& index) const {
    return apply(IndexSelect{dim, shape}, dy, index);
  }
  std::string formula(std::span<const std::string> names) const {
    return "index_add(0, " + std::to_string(dim) + ", " + names[1] + ", " + names[0] + ")";
  }
};

/// The rows of a matrix, by the name that they go by there.
struct Embedding : IndexSelect {
  static constexpr Info info{"embedding"};
};

Tensor IndexSelect::backward(const Tensor& dy, Unused, const Tensor& index) const {
  return apply(IndexSum{dim, from}, dy, index);
}

struct Gather {
  static constexpr Info info{"gather"};
  int dim;
  Shape from;  // the shape of x

  Tensor forward(const Tensor& x, const Tensor& index) const {
    const Tensor y = Tensor::empty(index.shape(), x.dtype(), x.device());
    kernels(y).select_elements(x, dim, index, y);
    return y;
  }
  Tensor backward(const Tensor& dy, Unused, const Tensor& index) const;
  std::string formula(std::span<const std::string> names) const {
    return "gather(" + names[0] + ", " + std::to_string(dim) + ", " + names[1] + ")";
  }
};

/// Its adjoint: elements added at their places in zeros of the given shape.
struct ScatterSum {
  static constexpr Info info{"scatter_add"};
  int dim;
  Shape shape;

  Tensor forward(const Tensor& x, const Tensor& index) const {
    return sums(x, dim, index, shape, kernels(x).add_elements);
  }
  Tensor backward(const Tensor& dy, Unused, const Tensor& index) const { return apply(Gather{dim, shape}, dy, index); }
  std::string formula(std::span<const std::string> names) const {
    return "scatter_add(0, " + std::to_string(dim) + ", " + names[1] + ", " + names[0] + ")";
  }
};

Tensor Gather::backward(const Tensor& dy, Unused, const Tensor& index) const {
  return apply(ScatterSum{dim, from}, dy, index);
}

// The index, ready for the kernels; `size_name()` says what its size limits it: "the number of classes".
template <class SizeName> Tensor checked(const Tensor& index, int64_t size, SizeName&& size_name) {
  if (index.dtype() != int64) fail("the index must be int64, not " + to_string(index.dtype()));
  const Tensor values = contiguous(index);
  const int64_t position = kernels(values).first_outside(values, size);
  if (position < 0) return values;
  const int64_t value = values.at<int64_t>(position);
  fail("index" + (index.dim() ? to_string(coordinates(index.shape(), position)) : "") + " is " + std::to_string(value) +
       "; it must be at least 0 and less than " + std::to_string(size) + ", " + size_name());
}

Tensor checked(const Tensor& index, const Tensor& x, int dim) {
  return checked(index, x.shape()[dim], [=] { return "the size of dimension " + std::to_string(dim) + " of x"; });
}

void require_vector(const Tensor& index) {
  if (index.dim() != 1) fail("the index is " + to_string(index.shape()) + "; it must have one dimension");
}

// What gather and scatter_add ask of an index: no larger than `other` in each dimension, `dim` excepted.
void require_within(const Tensor& index, const Tensor& other, const char* name, int dim) {
  bool fits = index.dim() == other.dim();
  for (int i = 0; fits && i < index.dim(); ++i) fits = i == dim || index.shape()[i] <= other.shape()[i];
  if (!fits)
    fail("the index is " + to_string(index.shape()) + " and " + name + " is " + to_string(other.shape()) +
         "; the index must have as many dimensions, and no larger sizes" +
         (dim >= 0 ? " but in dimension " + std::to_string(dim) : ""));
}

void require_sum(const Tensor& x, const Tensor& source) {
  if (x.dtype() != source.dtype())
    fail("x holds " + to_string(x.dtype()) + " and source " + to_string(source.dtype()) +
         "; both must have the same dtype");
  if (x.dtype() == boolean) fail("x holds bool, which cannot be added; convert it first: to(x, int64)");
}

// How far each element of a matrix lies to the right of the diagonal.
Tensor distance(const Tensor& x, int64_t diagonal) {
  if (x.dim() < 2) fail("x is " + to_string(x.shape()) + "; only a matrix, or a batch of them, has triangles");
  const int64_t rows = x.size(-2), columns = x.size(-1);
  return arange(columns, x.device()) - unsqueeze(arange(rows, x.device()), 1) - std::clamp(diagonal, -rows, columns);
}

}  // namespace

Tensor index_select(const Arg& x, int64_t dim, const Tensor& index) {
  const Scope scope("index_select", x.where());
  const int at = normalize_dim(dim, x->dim());
  require_vector(index);
  return apply(IndexSelect{at, x->shape()}, x, checked(index, *x, at));
}

Tensor index_add(const Arg& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const Scope scope("index_add", x.where());
  const int at = normalize_dim(dim, x->dim());
  require_vector(index);
  require_sum(*x, source);
  Shape expected = x->shape();
  expected[at] = index.numel();
  if (source.shape() != expected)
    fail("source is " + to_string(source.shape()) + "; with x " + to_string(x->shape()) + " and an index of " +
         std::to_string(index.numel()) + " it must be " + to_string(expected));
  return *x + apply(IndexSum{at, x->shape()}, source, checked(index, *x, at));
}

Tensor embedding(const Arg& index, const Tensor& weight) {
  const Scope scope("embedding", index.where());
  if (weight.dim() != 2)
    fail("weight is " + to_string(weight.shape()) + "; it must be a matrix, one row for each index");
  return apply(Embedding{{0, weight.shape()}}, weight,
               checked(*index, weight.shape()[0], [] { return "the number of rows of weight"; }));
}

Tensor gather(const Arg& x, int64_t dim, const Tensor& index) {
  const Scope scope("gather", x.where());
  const int at = normalize_dim(dim, x->dim());
  require_within(index, *x, "x", at);
  return apply(Gather{at, x->shape()}, x, checked(index, *x, at));
}

Tensor scatter_add(const Arg& x, int64_t dim, const Tensor& index, const Tensor& source) {
  const Scope scope("scatter_add", x.where());
  const int at = normalize_dim(dim, x->dim());
  require_sum(*x, source);
  require_within(index, *x, "x", at);
  require_within(index, source, "source", -1);
  const Tensor places = checked(index, *x, at);
  Tensor used = source;
  for (int i = 0; i < index.dim(); ++i)
    if (index.shape()[i] < used.shape()[i]) used = narrow(used, i, 0, index.shape()[i]);
  return *x + apply(ScatterSum{at, x->shape()}, used, places);
}

Tensor one_hot(const Arg& index, int64_t classes) {
  const Scope scope("one_hot", index.where());
  if (classes < -1) fail("there cannot be " + std::to_string(classes) + " classes");
  if (classes == -1 && index->numel() == 0)
    fail("the index is empty, so the number of classes does not follow from it");
  if (classes == -1) classes = std::min(amax(index).item<int64_t>(), INT64_MAX - 1) + 1;
  const Tensor labels = checked(*index, classes, [] { return "the number of classes"; });
  return to(unsqueeze(labels, -1) == arange(classes, labels.device()), int64);
}

Tensor masked_fill(const Arg& x, const Tensor& mask, double value) {
  const Scope scope("masked_fill", x.where());
  if (mask.dtype() != boolean) fail("the mask must be a bool tensor, such as x > 0, not " + to_string(mask.dtype()));
  broadcast_shapes(x->shape(), mask.shape());
  detail::check_holds(*x, value);
  return to(where(mask, Tensor(value, x->dtype()), *x), x->dtype());
}

Tensor tril(const Arg& x, int64_t diagonal) {
  const Scope scope("tril", x.where());
  return masked_fill(x, distance(*x, diagonal) > 0, 0);
}

Tensor triu(const Arg& x, int64_t diagonal) {
  const Scope scope("triu", x.where());
  return masked_fill(x, distance(*x, diagonal) < 0, 0);
}

}  // namespace gradus
