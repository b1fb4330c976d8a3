#include "ops/trigonometric.h"

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/comparison.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/operations.h"

namespace gradus {

Tensor sin(const Arg& x) { return map(formula::Sin{}, x); }
Tensor cos(const Arg& x) { return map(formula::Cos{}, x); }
Tensor tan(const Arg& x) { return map(formula::Tan{}, x); }
Tensor asin(const Arg& x) { return map(formula::Asin{}, x); }
Tensor acos(const Arg& x) { return map(formula::Acos{}, x); }
Tensor atan(const Arg& x) { return map(formula::Atan{}, x); }
Tensor sinh(const Arg& x) { return map(formula::Sinh{}, x); }
Tensor cosh(const Arg& x) { return map(formula::Cosh{}, x); }
Tensor asinh(const Arg& x) { return map(formula::Asinh{}, x); }
Tensor acosh(const Arg& x) { return map(formula::Acosh{}, x); }
Tensor atanh(const Arg& x) { return map(formula::Atanh{}, x); }

std::vector<Operation> trigonometric_operations() { return describe(formula::Trigonometric{}); }

}  // namespace gradus
