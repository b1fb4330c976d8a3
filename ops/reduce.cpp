#include "ops/reduce.h"

#include <algorithm>

#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/exponential.h"
#include "ops/kernels.h"
#include "ops/view.h"

namespace gradus {
namespace {

/// "sum(x, [0, 2])"
std::string reduction_text(const char* name, const std::string& x, unsigned dims, int count) {
  std::string text = std::string(name) + "(" + x;
  if (dims == (1u << count) - 1) return text + ")";
  Shape list;
  for (int i = 0; i < count; ++i)
    if (dims >> i & 1) list.push_back(i);
  return text + ", " + to_string(list) + ")";
}

/// The dimensions that a reduction takes, and the shapes around it.
struct Reduced {
  const char* name;   // in formulas
  unsigned dims = 0;  // a bit each
  Shape from, kept;   // the input's shape; the same with reduced sizes 1
  Shape result;       // what the user asked for
  int64_t count = 1;  // elements behind each result

  Reduced(const char* called, const Tensor& x, const Dims& wanted, bool keepdim) : name(called), from(x.shape()) {
    if (wanted.all) dims = (1u << x.dim()) - 1;
    for (int64_t dim : wanted.list) {
      const unsigned bit = 1u << normalize_dim(dim, x.dim());
      if (dims & bit) fail("dimension " + std::to_string(dim) + " is named twice");
      dims |= bit;
    }
    kept = from;
    for (int i = 0; i < x.dim(); ++i) {
      const bool reduce_this = dims >> i & 1;
      if (reduce_this) count *= from[i], kept[i] = 1;
      if (!reduce_this || keepdim) result.push_back(kept[i]);
    }
  }

  /// Something of the result's shape, such as dy, repeated to the input's.
  Tensor spread(const Tensor& y) const { return expand(result.empty() ? y : reshape(y, kept), from); }
  Tensor run(kernel::Reduction reduction, const Tensor& x, double scale = 1) const {
    const bool counts = reduction == kernel::Reduction::sum && x.dtype() == boolean;
    const Tensor y = Tensor::empty(result, counts ? int64 : x.dtype(), x.device());
    kernels(x).reduce(reduction, x, dims, scale, y);
    return y;
  }
  std::string formula(std::span<const std::string> names) const {
    return reduction_text(name, names[0], dims, from.dim());
  }
};

struct Sum : Reduced {
  static constexpr Info info{"sum"};
  Tensor forward(const Tensor& x) const { return run(kernel::Reduction::sum, x); }
  Tensor backward(const Tensor& dy) const { return spread(dy); }
};

struct Mean : Reduced {
  static constexpr Info info{"mean"};
  Tensor forward(const Tensor& x) const { return run(kernel::Reduction::sum, x, 1. / double(count)); }
  Tensor backward(const Tensor& dy) const { return spread(count == 1 ? dy : dy / double(count)); }
};

struct Extreme : Reduced {
  static constexpr Info info{"amax"};
  kernel::Reduction reduction;
  Tensor forward(const Tensor& x) const { return run(reduction, x); }
  Tensor backward(const Tensor& dy, const Tensor& x, const SavedOutput& y) const {
    const Tensor mask = to(x == spread(y.detach()), x.dtype());
    return mask * spread(dy / reshape(sum_to(mask, kept), result));
  }
};

struct Variance : Reduced {
  static constexpr Info info{"var"};
  double correction;
  Tensor forward(const Tensor& x) const {
    const NoGrad off;
    const Tensor centred = x - expand(reshape(run(kernel::Reduction::sum, x, 1. / double(count)), kept), from);
    return run(kernel::Reduction::sum, square(centred), scale());
  }
  Tensor backward(const Tensor& dy, const Tensor& x) const {
    const Tensor mean = sum_to(x, kept) * (1. / double(count));
    return spread(dy) * (x - expand(mean, from)) * (2 * scale());
  }
  double scale() const { return 1 / std::max(0., double(count) - correction); }
};

struct LogSumExp : Reduced {
  static constexpr Info info{"logsumexp"};
  Tensor forward(const Tensor& x) const {
    const NoGrad off;
    Tensor largest = reshape(run(kernel::Reduction::maximum, x), kept);
    largest = where(isfinite(largest), largest, 0);
    return log(run(kernel::Reduction::sum, exp(x - largest))) + reshape(largest, result);
  }
  Tensor backward(const Tensor& dy, const Tensor& x, const SavedOutput& y) const {
    return spread(dy) * exp(x - spread(y));
  }
};

struct Norm : Reduced {
  static constexpr Info info{"norm"};
  Tensor forward(const Tensor& x) const {
    const NoGrad off;
    return sqrt(run(kernel::Reduction::sum, square(x)));
  }
  Tensor backward(const Tensor& dy, const Tensor& x, const SavedOutput& y) const {
    const Tensor length = where(y > 0, y, 1);
    return x * spread(dy / length);
  }
  std::string formula(std::span<const std::string> names) const {
    return from.dim() == 1 || count == from.numel() ? "‖" + names[0] + "‖" : Reduced::formula(names);
  }
};

struct SumTo {
  static constexpr Info info{"sum_to"};
  Shape shape, from;
  Tensor forward(const Tensor& x) const {
    if (shape.numel() == x.numel() && x.is_contiguous())  // there is nothing to add up
      return x.alias(shape, contiguous_strides(shape), x.offset());
    const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
    kernels(x).reduce(kernel::Reduction::sum, x, dims(), 1, y);
    return y;
  }
  unsigned dims() const {
    unsigned dims = 0;
    const int added = from.dim() - shape.dim();
    for (int i = 0; i < from.dim(); ++i)
      if (i < added || (shape[i - added] == 1 && from[i] != 1)) dims |= 1u << i;
    return dims;
  }
  std::string formula(std::span<const std::string> names) const {
    return reduction_text("sum", names[0], dims(), from.dim());
  }
  Tensor backward(const Tensor& dy) const { return expand(dy, from); }
  static bool possible(const Shape& from, const Shape& to) {
    const int added = from.dim() - to.dim();
    for (int i = 0; i < to.dim() && added >= 0; ++i)
      if (to[i] != 1 && to[i] != from[i + added]) return false;
    return added >= 0;
  }
};

// Of floating-point tensors.
template <class Op> Tensor reduction(const Arg& x, const Dims& dims, bool keepdim, auto... settings) {
  const Scope scope(Op::info.name, x.where());
  if (!is_floating_point(x->dtype())) fail("x holds " + to_string(x->dtype()) + "; convert it first: to(x, float32)");
  return apply(Op{{Op::info.name, *x, dims, keepdim}, settings...}, x);
}

Tensor extreme(const char* name, kernel::Reduction reduction, const Arg& x, const Dims& dims, bool keepdim) {
  const Scope scope(name, x.where());
  const Reduced reduced(reduction == kernel::Reduction::maximum ? "max" : "min", *x, dims, keepdim);
  if (reduced.count == 0 && reduced.result.numel() > 0)
    fail("x is " + to_string(x->shape()) + ": there is no element to choose from");
  return apply(Extreme{reduced, reduction}, x);
}

Tensor arg_extreme(const char* name, bool largest, const Arg& x, int64_t dim, bool keepdim) {
  const Scope scope(name, x.where());
  normalize_dim(dim, x->dim());
  const Tensor rows = contiguous(transpose(x->detach(), dim, -1));
  if (x->size(dim) == 0) fail("x is " + to_string(x->shape()) + ": there is no element to choose from");
  Shape shape = rows.shape();
  shape[shape.dim() - 1] = 1;
  const Tensor y = Tensor::empty(shape, int64, x->device());
  kernels(rows).arg_extreme(largest, rows, rows.shape().back(), y);
  const Tensor index = transpose(y, dim, -1);
  return keepdim ? index : squeeze(index, dim);
}

}  // namespace

Tensor sum(const Arg& x, const Dims& dims, bool keepdim) {
  const Scope scope("sum", x.where());
  return apply(Sum{{"sum", *x, dims, keepdim}}, x);
}
Tensor mean(const Arg& x, const Dims& dims, bool keepdim) { return reduction<Mean>(x, dims, keepdim); }
Tensor amax(const Arg& x, const Dims& dims, bool keepdim) {
  return extreme("amax", kernel::Reduction::maximum, x, dims, keepdim);
}
Tensor amin(const Arg& x, const Dims& dims, bool keepdim) {
  return extreme("amin", kernel::Reduction::minimum, x, dims, keepdim);
}
Tensor var(const Arg& x, const Dims& dims, bool keepdim, double correction) {
  return reduction<Variance>(x, dims, keepdim, correction);
}
Tensor std(const Arg& x, const Dims& dims, bool keepdim, double correction) {
  const Scope scope("std", x.where());
  return sqrt(var(x, dims, keepdim, correction));
}
Tensor logsumexp(const Arg& x, const Dims& dims, bool keepdim) { return reduction<LogSumExp>(x, dims, keepdim); }
Tensor norm(const Arg& x, const Dims& dims, bool keepdim) { return reduction<Norm>(x, dims, keepdim); }
Tensor any(const Arg& x, const Dims& dims, bool keepdim) {
  const Scope scope("any", x.where());
  return sum(*x != 0, dims, keepdim) != 0;
}
Tensor all(const Arg& x, const Dims& dims, bool keepdim) {
  const Scope scope("all", x.where());
  return sum(*x == 0, dims, keepdim) == 0;
}
Tensor argmax(const Arg& x, int64_t dim, bool keepdim) { return arg_extreme("argmax", true, x, dim, keepdim); }
Tensor argmin(const Arg& x, int64_t dim, bool keepdim) { return arg_extreme("argmin", false, x, dim, keepdim); }

Tensor sum_to(const Arg& x, const Shape& shape) {
  const Scope scope("sum_to", x.where());
  if (shape == x->shape()) return *x;
  if (!SumTo::possible(x->shape(), shape))
    fail("x is " + to_string(x->shape()) + ", which is not what " + to_string(shape) + " broadcasts to");
  return apply(SumTo{shape, x->shape()}, x);
}

}  // namespace gradus
