#include "ops/symbol.h"

#include <cmath>
#include <cstdio>
#include <numbers>

namespace gradus {

Symbol::Symbol(double number) : precedence_(number < 0 ? negation : atom) {
  const double size = std::fabs(number);
  char digits[32];
  std::snprintf(digits, sizeof digits, "%g", size);
  text_ = std::isinf(size) ? "∞" : std::string(digits);
  if (std::fabs(size - std::numbers::sqrt2 / 2) < 1e-12) text_ = "√½";
  if (std::fabs(size - std::sqrt(2 / std::numbers::pi)) < 1e-12) text_ = "√(2/π)";
  if (std::fabs(size - std::numbers::inv_sqrtpi / std::numbers::sqrt2) < 1e-12) text_ = "1/√(2π)";
  if (number < 0) text_ = "−" + text_;
}

Symbol call(const std::string& name, const Symbol& a) { return {name + '(' + a.text() + ')'}; }
Symbol call(const std::string& name, const Symbol& a, const Symbol& b) {
  return {name + '(' + a.text() + ", " + b.text() + ')'};
}

Symbol infix(const Symbol& a, const char* op, const Symbol& b, Symbol::Precedence precedence, bool associative) {
  const auto tighter = Symbol::Precedence(precedence + 1);
  return {a.within(precedence) + op + b.within(associative ? precedence : tighter), precedence};
}

Symbol where(const Symbol& condition, const Symbol& a, const Symbol& b) {
  if (b.text() != "0") return {"(" + a.text() + " if " + condition.text() + " else " + b.text() + ")"};
  return a.text() == "1" ? Symbol("[" + condition.text() + "]") : Symbol("[" + condition.text() + "]") * a;
}

}  // namespace gradus
