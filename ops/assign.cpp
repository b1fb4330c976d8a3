#include "ops/assign.h"

#include "core/node.h"
#include "core/tape.h"
#include "ops/apply.h"
#include "ops/arithmetic.h"
#include "ops/cpu/gather.h"
#include "ops/cpu/map_kernel.h"

namespace gradus {
namespace {

void require_writable(const Tensor& target) {
  if (target.needs_grad() && !target.is_leaf())
    fail("only leaves can be changed in place, and the target is the result of " +
         std::string(target.node()->operation()));
  if (target.needs_grad() && grad_enabled())
    fail("a tensor that requires a gradient can be changed in place only inside a NoGrad");
}

}  // namespace

void assign(const Tensor& target, const Arg& source) {
  const Scope scope("assign", source.where());
  require_writable(target);
  if (source->shape() != target.shape())
    fail("the target is " + to_string(target.shape()) + " and the source " + to_string(source->shape()));
  cpu::copy(*source, target);
  target.storage()->bump_version();
}

void fill(const Tensor& target, double value, Location where) {
  const Scope scope("fill", where);
  require_writable(target);
  detail::check_holds(target, value);
  const Tensor number(value, target.dtype() == int64 ? int64 : float64);
  Strides repeated;
  for (int i = 0; i < target.dim(); ++i) repeated.push_back(0);
  cpu::copy(number.alias(target.shape(), repeated, 0), target);
  target.storage()->bump_version();
}

void accumulate(Tensor& sum, Tensor term) {
  const auto ours_alone = [](const Tensor& x) {
    return x.handle()->use_count() == 1 && x.storage()->use_count() == 1 && x.is_contiguous() && !x.node();
  };
  if (!sum.defined()) {
    sum = std::move(term);
  } else if (!grad_enabled() && ours_alone(sum)) {
    cpu::map_forward(formula::Add{}, std::array<const Tensor*, 2>{&sum, &term}, sum);
  } else if (!grad_enabled() && ours_alone(term)) {
    cpu::map_forward(formula::Add{}, std::array<const Tensor*, 2>{&sum, &term}, term);
    sum = std::move(term);
  } else {
    sum = sum + term;
  }
}

}  // namespace gradus
