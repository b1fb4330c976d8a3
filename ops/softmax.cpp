#include "ops/softmax.h"

#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/exponential.h"
#include "ops/kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gradus {
namespace {

Tensor empty_like(const Tensor& x) { return Tensor::empty(x.shape(), x.dtype(), x.device()); }

/// The gradient of a softmax (or log-softmax) along the last dimension, in terms of its output.
struct SoftmaxBackward {
  static constexpr Info info{"softmax_backward"};
  bool log;
  Tensor forward(const Tensor& dy, const Tensor& y) const {
    const Tensor dx = empty_like(y);
    kernels(y).softmax_backward(log, dy, y, dx);
    return dx;
  }
  Tensor plain(const Tensor& dy, const Tensor& y) const {
    return log ? dy - exp(y) * sum(dy, -1, true) : y * (dy - sum(dy * y, -1, true));
  }
  std::string formula(std::span<const std::string> names) const {
    const std::string &dy = names[0], &y = names[1];
    return log ? dy + " − exp(" + y + ")·sum(" + dy + ", [-1])" : y + "·(" + dy + " − sum(" + dy + "·" + y + ", [-1]))";
  }
};

struct Softmax {
  static constexpr Info info{"softmax", "softmax($0)"};
  bool log;
  Tensor forward(const Tensor& x) const {
    const Tensor y = empty_like(x);
    kernels(x).softmax(log, x, y);
    return y;
  }
  Tensor backward(const Tensor& dy, const SavedOutput& y) const { return apply(SoftmaxBackward{log}, dy, y); }
  std::string formula(std::span<const std::string> names) const {
    return (log ? "log_softmax(" : "softmax(") + names[0] + ")";
  }
};

/// Its own adjoint: the random numbers are made again from where the generator stood.
struct Dropout {
  static constexpr Info info{"dropout", "dropout($0)"};
  double p;
  cuda::PerLaunch<GeneratorState> state;
  Tensor forward(const Tensor& x) const {
    const Tensor y = empty_like(x);
    kernels(x).dropout(x, p, state, y);
    return y;
  }
  Tensor backward(const Tensor& dy) const { return apply(*this, dy); }
};

Tensor along(const char* name, bool log, const Arg& x, int64_t dim) {
  const Scope scope(name, x.where());
  if (!is_floating_point(x->dtype())) fail("x holds " + to_string(x->dtype()) + "; convert it first: to(x, float32)");
  if (x->dim() == 0) return reshape(apply(Softmax{log}, reshape(x, {1})), {});
  const int at = normalize_dim(dim, x->dim());
  if (at == x->dim() - 1) return apply(Softmax{log}, x);
  return transpose(apply(Softmax{log}, transpose(x, at, -1)), at, -1);
}

}  // namespace

Tensor softmax(const Arg& x, int64_t dim) { return along("softmax", false, x, dim); }
Tensor log_softmax(const Arg& x, int64_t dim) { return along("log_softmax", true, x, dim); }

Tensor dropout(const Arg& x, double p, bool training, Generator& generator) {
  const Scope scope("dropout", x.where());
  if (!(p >= 0 && p <= 1)) fail("p must be a probability, not " + std::to_string(p));
  if (!is_floating_point(x->dtype())) fail("x holds " + to_string(x->dtype()) + "; convert it first: to(x, float32)");
  if (!training || p == 0) return *x;
  return detail::dropout(x, p, generator.reserve(uint64_t(x->numel() + 3) / 4, x->device()));
}

Tensor detail::dropout(const Arg& x, double p, const cuda::PerLaunch<GeneratorState>& state) {
  return apply(Dropout{p, state}, x);
}

}  // namespace gradus
