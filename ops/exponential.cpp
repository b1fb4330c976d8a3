#include "ops/exponential.h"

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/custom.h"
#include "ops/operations.h"
#include "ops/trigonometric.h"

namespace gradus {

Tensor exp(const Arg& x) { return map(formula::Exp{}, x); }
Tensor expm1(const Arg& x) { return map(formula::Expm1{}, x); }
Tensor log(const Arg& x) { return map(formula::Log{}, x); }
Tensor log2(const Arg& x) { return map(formula::Log2{}, x); }
Tensor log10(const Arg& x) { return map(formula::Log10{}, x); }
Tensor log1p(const Arg& x) { return map(formula::Log1p{}, x); }
Tensor sqrt(const Arg& x) { return map(formula::Sqrt{}, x); }
Tensor rsqrt(const Arg& x) { return map(formula::Rsqrt{}, x); }
Tensor logaddexp(const Arg& a, const Arg& b) { return map(formula::Logaddexp{}, a, b); }
Tensor erf(const Arg& x) { return map(formula::Erf{}, x); }

std::vector<Operation> exponential_operations() { return describe(formula::Exponentials{}); }

}  // namespace gradus
