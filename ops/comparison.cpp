#include "ops/comparison.h"

#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/operations.h"
#include "ops/trigonometric.h"

namespace gradus {

Tensor operator==(const Arg& a, const Arg& b) { return map(formula::Equal{}, a, b); }
Tensor operator!=(const Arg& a, const Arg& b) { return map(formula::NotEqual{}, a, b); }
Tensor operator<(const Arg& a, const Arg& b) { return map(formula::Less{}, a, b); }
Tensor operator<=(const Arg& a, const Arg& b) { return map(formula::LessEqual{}, a, b); }
Tensor operator>(const Arg& a, const Arg& b) { return map(formula::Greater{}, a, b); }
Tensor operator>=(const Arg& a, const Arg& b) { return map(formula::GreaterEqual{}, a, b); }
Tensor logical_and(const Arg& a, const Arg& b) { return map(formula::LogicalAnd{}, a, b); }
Tensor logical_or(const Arg& a, const Arg& b) { return map(formula::LogicalOr{}, a, b); }
Tensor logical_xor(const Arg& a, const Arg& b) { return map(formula::LogicalXor{}, a, b); }
Tensor logical_not(const Arg& x) { return map(formula::LogicalNot{}, x); }
Tensor isnan(const Arg& x) { return map(formula::IsNan{}, x); }
Tensor isinf(const Arg& x) { return map(formula::IsInf{}, x); }
Tensor isfinite(const Arg& x) { return map(formula::IsFinite{}, x); }

std::vector<Operation> comparison_operations() { return describe(formula::Comparisons{}); }

}  // namespace gradus
