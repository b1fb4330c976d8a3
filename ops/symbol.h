#pragma once
// A formula's fourth interpretation: text. Run on Symbols, a forward or backward writes itself down.

#include <string>

namespace gradus {

/// A piece of a printed formula, and how tightly it binds, so that only needed brackets are written.
class Symbol {
 public:
  enum Precedence { comparison, addition, product, negation, power, atom };

  Symbol(std::string text, Precedence precedence = atom) : text_(std::move(text)), precedence_(precedence) {}
  Symbol(double number);

  const std::string& text() const { return text_; }
  /// The text, in brackets if it binds less tightly than `outer`.
  std::string within(Precedence outer) const { return precedence_ < outer ? '(' + text_ + ')' : text_; }

 private:
  std::string text_;
  Precedence precedence_;
};

/// "name(a)", "name(a, b)"
Symbol call(const std::string& name, const Symbol& a);
Symbol call(const std::string& name, const Symbol& a, const Symbol& b);
/// "a op b": the right side is bracketed even at equal precedence if `op` does not associate.
Symbol infix(const Symbol& a, const char* op, const Symbol& b, Symbol::Precedence precedence, bool associative = true);

inline Symbol operator+(const Symbol& a, const Symbol& b) { return infix(a, " + ", b, Symbol::addition); }
inline Symbol operator-(const Symbol& a, const Symbol& b) { return infix(a, " − ", b, Symbol::addition, false); }
inline Symbol operator*(const Symbol& a, const Symbol& b) { return infix(a, "·", b, Symbol::product); }
inline Symbol operator/(const Symbol& a, const Symbol& b) { return infix(a, "/", b, Symbol::product, false); }
inline Symbol operator-(const Symbol& a) { return {"−" + a.within(Symbol::negation), Symbol::negation}; }
inline Symbol operator>(const Symbol& a, const Symbol& b) { return infix(a, " > ", b, Symbol::comparison, false); }
inline Symbol operator>=(const Symbol& a, const Symbol& b) { return infix(a, " ≥ ", b, Symbol::comparison, false); }
inline Symbol operator<(const Symbol& a, const Symbol& b) { return infix(a, " < ", b, Symbol::comparison, false); }
inline Symbol operator<=(const Symbol& a, const Symbol& b) { return infix(a, " ≤ ", b, Symbol::comparison, false); }
inline Symbol operator==(const Symbol& a, const Symbol& b) { return infix(a, " = ", b, Symbol::comparison, false); }
inline Symbol operator!=(const Symbol& a, const Symbol& b) { return infix(a, " ≠ ", b, Symbol::comparison, false); }
inline Symbol operator&&(const Symbol& a, const Symbol& b) { return infix(a, " ∧ ", b, Symbol::comparison, false); }
inline Symbol operator||(const Symbol& a, const Symbol& b) { return infix(a, " ∨ ", b, Symbol::comparison, false); }

inline Symbol abs(const Symbol& a) { return {"|" + a.text() + "|"}; }
inline Symbol square(const Symbol& a) { return {a.within(Symbol::atom) + "²", Symbol::power}; }
inline Symbol sqrt(const Symbol& a) { return {"√" + a.within(Symbol::atom), Symbol::power}; }
inline Symbol rsqrt(const Symbol& a) { return Symbol(1) / sqrt(a); }
inline Symbol pow(const Symbol& a, const Symbol& b) {
  return {a.within(Symbol::atom) + "^" + b.within(Symbol::atom), Symbol::power};
}
inline Symbol floor(const Symbol& a) { return {"⌊" + a.text() + "⌋"}; }
inline Symbol ceil(const Symbol& a) { return {"⌈" + a.text() + "⌉"}; }
inline Symbol rint(const Symbol& a) { return call("round", a); }
inline Symbol sign(const Symbol& a) { return call("sign", a); }
inline Symbol exp(const Symbol& a) { return call("exp", a); }
inline Symbol expm1(const Symbol& a) { return call("expm1", a); }
inline Symbol log(const Symbol& a) { return call("log", a); }
inline Symbol log1p(const Symbol& a) { return call("log1p", a); }
inline Symbol sin(const Symbol& a) { return call("sin", a); }
inline Symbol cos(const Symbol& a) { return call("cos", a); }
inline Symbol tan(const Symbol& a) { return call("tan", a); }
inline Symbol asin(const Symbol& a) { return call("asin", a); }
inline Symbol acos(const Symbol& a) { return call("acos", a); }
inline Symbol atan(const Symbol& a) { return call("atan", a); }
inline Symbol sinh(const Symbol& a) { return call("sinh", a); }
inline Symbol cosh(const Symbol& a) { return call("cosh", a); }
inline Symbol tanh(const Symbol& a) { return call("tanh", a); }
inline Symbol asinh(const Symbol& a) { return call("asinh", a); }
inline Symbol acosh(const Symbol& a) { return call("acosh", a); }
inline Symbol atanh(const Symbol& a) { return call("atanh", a); }
inline Symbol erf(const Symbol& a) { return call("erf", a); }
inline Symbol sigmoid(const Symbol& a) { return {"σ(" + a.text() + ")"}; }
inline Symbol maximum(const Symbol& a, const Symbol& b) { return call("max", a, b); }
inline Symbol minimum(const Symbol& a, const Symbol& b) { return call("min", a, b); }
/// "[x > 0]·dy" (Iverson's bracket) where the alternative is zero, "(a if x > 0 else b)" otherwise.
Symbol where(const Symbol& condition, const Symbol& a, const Symbol& b);

}  // namespace gradus
