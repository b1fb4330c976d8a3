// Formulas: read from text, put into one another, written as text, LaTeX and MathML.

#include "derive/formula.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <sstream>

#include "ops/operations.h"

using namespace gradus;
using Kind = Formula::Kind;

namespace {

Formula name(const std::string& text) { return {Kind::name, text}; }
Formula of(Kind kind, std::vector<Formula> parts, const std::string& text = {}) {
  return {kind, text, std::move(parts)};
}

/// 2 × 2 matrices of integers modulo a prime: all that formulas say of sums, products and quotients holds for them
/// exactly.
using Matrix = std::array<int64_t, 4>;
constexpr int64_t prime = 10007;

int64_t inverse(int64_t x) {
  int64_t result = 1;
  for (int64_t n = prime - 2; n > 0; n /= 2, x = x * x % prime)
    if (n % 2) result = result * x % prime;
  return result;
}

Matrix value_of(const Formula& formula, const std::map<std::string, Matrix>& values) {
  if (formula.kind == Kind::name) return values.at(formula.text);
  if (formula.kind == Kind::number) {
    const int64_t number = (std::stoll(formula.text) + prime) % prime;
    return {number, number, number, number};
  }
  const Matrix a = value_of(formula.parts[0], values);
  const Matrix b = formula.parts.size() > 1 ? value_of(formula.parts[1], values) : a;
  Matrix y{};
  for (size_t i = 0; i < 4; ++i) {
    const size_t row = i / 2 * 2, column = i % 2;
    switch (formula.kind) {
      case Kind::sum: y[i] = a[i] + b[i]; break;
      case Kind::difference: y[i] = a[i] - b[i] + prime; break;
      case Kind::product: y[i] = a[i] * b[i]; break;
      case Kind::quotient: y[i] = a[i] * inverse(b[i]); break;
      case Kind::matmul: y[i] = a[row] * b[column] + a[row + 1] * b[column + 2]; break;
      case Kind::negation: y[i] = prime - a[i]; break;
      case Kind::transpose: y[i] = a[column * 2 + row / 2]; break;
      case Kind::power: y[i] = a[i] * a[i]; break;
      default: FAIL("a formula that was not made here");
    }
    y[i] %= prime;
  }
  return y;
}

Formula random_formula(std::mt19937& random, int depth) {
  constexpr Kind kinds[] = {Kind::sum,      Kind::difference, Kind::product,   Kind::matmul,
                            Kind::quotient, Kind::negation,   Kind::transpose, Kind::power};
  if (depth == 0 || random() % 6 == 0) return name(std::string(1, char('a' + random() % 4)));
  const Kind kind = kinds[random() % std::size(kinds)];
  Formula first = random_formula(random, depth - 1);
  if (kind == Kind::negation || kind == Kind::transpose) return of(kind, {first});
  if (kind == Kind::power) return of(kind, {first, {Kind::number, "2"}});
  return of(kind, {first, random_formula(random, depth - 1)});
}

}  // namespace

TEST_CASE("formulas: a printed formula reads as what it was") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::map<std::string, Matrix> values{
      {"a", {3, 5, 7, 11}}, {"b", {13, 17, 19, 23}}, {"c", {29, 31, 37, 41}}, {"d", {43, 47, 53, 59}}};
  for (int i = 0; i < 2000; ++i) {
    const Formula formula = random_formula(random, 1 + i % 6);
    const std::string text = to_text(formula);
    CAPTURE(text);
    CHECK(value_of(parse_formula(text), values) == value_of(formula, values));
    CHECK(value_of(simplify(formula), values) == value_of(formula, values));
  }
}

TEST_CASE("formulas: those of all elementwise operations are understood, and written without a needless bracket") {
  for (const Operation& operation : elementwise_operations()) {
    std::vector<std::string> texts = operation.gradients;
    texts.push_back(operation.formula);
    for (const std::string& text : texts) {
      CAPTURE(text);
      const Formula formula = parse_formula(text);
      CHECK((formula.kind != Kind::name || text.find_first_of(" ()") == text.npos));
      CHECK(parse_formula(to_text(formula)) == formula);
      const auto brackets = [](const std::string& each) { return std::ranges::count(each, '('); };
      const bool signs = text.find("·−") != text.npos || text.find(" ∧ ") != text.npos ||
                         text.find(" ∨ ") != text.npos || text.find(" ≠ (") != text.npos;  // those are bracketed
      CHECK((brackets(to_text(formula)) <= brackets(text) || signs));
    }
  }
}

TEST_CASE("formulas: three ways of writing them") {
  struct Case {
    const char *text, *latex, *mathml;
  };
  for (const Case& each : {
           Case{"x · Wᵀ + b", "x \\cdot {W}^{\\top} + b",
                "<mi>x</mi><mo>·</mo><msup><mrow><mi>W</mi></mrow><mo>⊤</mo></msup><mo>+</mo><mi>b</mi>"},
           Case{"a·(b + c)", "a \\odot \\left(b + c\\right)",
                "<mi>a</mi><mo>⊙</mo><mrow><mo>(</mo><mi>b</mi><mo>+</mo><mi>c</mi><mo>)</mo></mrow>"},
           Case{"0.5·v3", "0.5 \\cdot v_{3}", "<mn>0.5</mn><mo>·</mo><msub><mi>v</mi><mn>3</mn></msub>"},
           Case{"(a + b)/c²", "\\frac{a + b}{{c}^{2}}",
                "<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mrow><msup><mrow><mi>c</mi></mrow><mrow><mn>2</mn>"
                "</mrow></msup></mrow></mfrac>"},
           Case{"[x ≥ 0]·dy", "\\left[x \\ge 0\\right] \\odot \\mathrm{dy}",
                "<mrow><mo>[</mo><mi>x</mi><mo>≥</mo><mn>0</mn><mo>]</mo></mrow><mo>⊙</mo><mi>dy</mi>"},
           Case{"σ(x)", "\\sigma\\left(x\\right)", "<mi>σ</mi><mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow>"},
           Case{"1e-05·x", "1 \\cdot 10^{-5} \\cdot x",
                "<mn>1</mn><mo>·</mo><msup><mn>10</mn><mn>-5</mn></msup><mo>·</mo><mi>x</mi>"},
           Case{"avg_poolᵀ(dy)", "\\operatorname{avg\\_pool}^{\\top}\\left(\\mathrm{dy}\\right)",
                "<mi>avg_poolᵀ</mi><mrow><mo>(</mo><mi>dy</mi><mo>)</mo></mrow>"},
           Case{"w[:, 0:2]", "w\\left[\\mathrm{:}, \\mathrm{0:2}\\right]", nullptr},
           Case{"(x if x > 0 else 0.01·x)", "\\left(x \\text{ if } x > 0 \\text{ else } 0.01 \\cdot x\\right)",
                nullptr},
       }) {
    CAPTURE(each.text);
    const Formula formula = parse_formula(each.text);
    CHECK(to_text(formula) == each.text);
    CHECK(to_latex(formula) == each.latex);
    if (each.mathml) CHECK(to_mathml(formula) == each.mathml);
  }
}

TEST_CASE("formulas: brackets where products of elements and of matrices meet, and around derivatives") {
  const Formula a = name("a"), b = name("b"), c = name("c"), d = derivative(name("L"), name("W"));
  CHECK(to_text(of(Kind::product, {of(Kind::matmul, {a, b}), c})) == "(a · b)·c");
  CHECK(to_text(of(Kind::matmul, {a, of(Kind::product, {b, c})})) == "a · (b·c)");
  CHECK(to_text(of(Kind::matmul, {of(Kind::matmul, {a, b}), c})) == "a · b · c");
  CHECK(to_text(of(Kind::difference, {a, of(Kind::difference, {b, c})})) == "a − (b − c)");
  CHECK(to_text(of(Kind::matmul, {d, of(Kind::transpose, {a})})) == "dL/dW · aᵀ");
  CHECK(to_text(of(Kind::quotient, {d, name("n")})) == "(dL/dW)/n");
  CHECK(to_text(of(Kind::transpose, {d})) == "(dL/dW)ᵀ");
  CHECK(to_text(of(Kind::magnitude, {of(Kind::negation, {a})})) == "|−a|");
  CHECK(to_text(of(Kind::product, {a, of(Kind::negation, {b})})) == "a·(−b)");
  CHECK(to_text(of(Kind::product, {of(Kind::negation, {a}), b})) == "−a·b");
  CHECK(to_latex(d) == "\\frac{\\partial L}{\\partial W}");
}

TEST_CASE("formulas: names of inputs are taken as they are") {
  const std::vector<Formula> inputs{name("a + b"), name("<b>\x1b[31m\n"), name("100%_{x}")};
  const std::string text = formula_mark(0) + "·" + formula_mark(1) + " · " + formula_mark(2);
  const Formula formula = parse_formula(text, inputs);
  CHECK(formula.kind == Kind::matmul);
  CHECK(formula.parts[0].parts[0].text == "a + b");
  CHECK(to_text(formula) == "(a + b·<b>[31m) · 100%_{x}");
  CHECK(to_mathml(formula).find("<b>") == std::string::npos);
  CHECK(to_mathml(formula).find("&#60;b&#62;") != std::string::npos);
  CHECK(to_latex(formula).find("100\\%\\_\\{x\\}") != std::string::npos);
  for (const std::string& written : {to_text(formula), to_latex(formula), to_mathml(formula)})
    CHECK(written.find_first_of("\x1b\n") == std::string::npos);
  // What is not understood is a name as a whole, with the inputs' names in it.
  CHECK(parse_formula("what? " + formula_mark(0) + " !", inputs).text == "what? a + b !");
}

TEST_CASE("formulas: substitution and simplification") {
  const Formula x = name("x"), y = parse_formula("1·a + b");
  const auto replace = [&](const Formula& each) { return each == x ? &y : nullptr; };
  CHECK(to_text(simplify(substitute(parse_formula("x · x"), replace))) == "(a + b) · (a + b)");
  CHECK(to_text(simplify(parse_formula("xᵀᵀ"))) == "x");
  CHECK(to_text(simplify(parse_formula("−−x/1"))) == "x");
  CHECK(size_of(parse_formula("a + b·c")) == 5);
}
