#include "ops/assign.h"

#include "core/node.h"
#include "core/tape.h"
#include "ops/arithmetic.h"
#include "ops/custom.h"
#include "ops/kernels.h"

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
  kernels(target).copy(source->device() == target.device() ? *source : source->copied_to(target.device()), target);
  target.storage()->bump_version();
}

void fill(const Tensor& target, double value, Location where) {
  const Scope scope("fill", where);
  require_writable(target);
  detail::check_holds(target, value);
  kernels(target).fill(target, value);
  target.storage()->bump_version();
}

void add_to(Tensor& sum, Tensor term) {
  const auto ours_alone = [](const Tensor& x) {
    return x.handle()->use_count() == 1 && x.storage()->use_count() == 1 && x.is_contiguous() && !x.node();
  };
  if (!grad_enabled() && ours_alone(sum)) {
    detail::map_forward<2>(formula::Add{}, {&sum, &term}, sum);
  } else if (!grad_enabled() && ours_alone(term)) {
    detail::map_forward<2>(formula::Add{}, {&sum, &term}, term);
    sum = std::move(term);
  } else {
    sum = sum + term;
  }
}

}  // namespace gradus
