#include "ops/arithmetic.h"

#include "ops/activation.h"
#include "ops/comparison.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/operations.h"
#include "ops/trigonometric.h"

namespace gradus {

Tensor operator+(const Arg& a, const Arg& b) { return map(formula::Add{}, a, b); }
Tensor operator-(const Arg& a, const Arg& b) { return map(formula::Subtract{}, a, b); }
Tensor operator*(const Arg& a, const Arg& b) { return map(formula::Multiply{}, a, b); }
Tensor operator/(const Arg& a, const Arg& b) { return map(formula::Divide{}, a, b); }
Tensor operator-(const Arg& x) { return map(formula::Negative{}, x); }
Tensor reciprocal(const Arg& x) { return map(formula::Reciprocal{}, x); }
Tensor square(const Arg& x) { return map(formula::Square{}, x); }
Tensor abs(const Arg& x) { return map(formula::Abs{}, x); }
Tensor sign(const Arg& x) { return map(formula::Sign{}, x); }
Tensor maximum(const Arg& a, const Arg& b) { return map(formula::Maximum{}, a, b); }
Tensor minimum(const Arg& a, const Arg& b) { return map(formula::Minimum{}, a, b); }
Tensor clamp(const Arg& x, double low, double high) { return map(formula::Clamp{low, high}, x); }
Tensor where(const Arg& condition, const Arg& a, const Arg& b) { return map(formula::Where{}, condition, a, b); }
Tensor floor(const Arg& x) { return map(formula::Floor{}, x); }
Tensor ceil(const Arg& x) { return map(formula::Ceil{}, x); }
Tensor round(const Arg& x) { return map(formula::Round{}, x); }
Tensor rint(const Arg& x) { return round(x); }
Tensor trunc(const Arg& x) { return map(formula::Trunc{}, x); }

Tensor pow(const Arg& a, const Arg& b) {
  if (!b.is_number()) return map(formula::Pow{}, a, b);
  if (b.number() == 1) return a.tensor();
  if (b.number() == 2) return square(a);
  if (b.number() == 0.5) return sqrt(a);
  if (b.number() == -1) return reciprocal(a);
  return map(formula::PowNumber{b.number()}, a);
}

std::vector<Operation> arithmetic_operations() { return describe(formula::Arithmetic{}); }

}  // namespace gradus
