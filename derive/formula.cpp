#include "derive/formula.h"

#include <algorithm>
#include <optional>

#include "core/utf8.h"

namespace gradus {
namespace {

using Kind = Formula::Kind;

constexpr size_t marks = 6400;  // the private use area, U+E000 to U+F8FF

/// Reads the text of a formula. Each rule takes what it understands from the front and fails with `nullopt`.
class Parser {
 public:
  Parser(std::string_view text, std::span<const Formula> inputs) : rest_(text), inputs_(inputs) {}

  std::optional<Formula> whole() {
    std::optional<Formula> formula = relation();
    return formula && rest_.empty() ? formula : std::nullopt;
  }

 private:
  using Result = std::optional<Formula>;

  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  Result relation() {
    Result left = sum();
    while (left) {
      const auto sign = std::ranges::find_if(signs, [&](std::string_view each) { return take(each); });
      if (sign == std::end(signs)) break;
      Result right = sum();
      if (!right) return right;
      left = Formula{Kind::relation, std::string(sign->substr(1, sign->size() - 2)), {*left, *right}};
    }
    return left;
  }

  Result sum() {
    Result left = product();
    while (left) {
      const bool plus = take(" + ");
      if (!plus && !take(" − ")) break;
      const Result right = product();
      if (!right) return right;
      left = Formula{plus ? Kind::sum : Kind::difference, {}, {*left, *right}};
    }
    return left;
  }

  Result product() {
    Result left = unary();
    while (left) {
      const Kind kind = take(" · ") ? Kind::matmul
                        : take("·") ? Kind::product
                        : take("/") ? Kind::quotient
                                    : Kind::name;
      if (kind == Kind::name) break;
      const Result right = unary();
      if (!right) return right;
      left = Formula{kind, {}, {*left, *right}};
    }
    return left;
  }

  Result unary() {
    const bool minus = take("−");
    if (!minus && !take("√")) return postfix();
    const Result operand = unary();
    if (!operand) return operand;
    return Formula{minus ? Kind::negation : Kind::root, {}, {*operand}};
  }

  Result postfix() {
    Result base = primary();
    while (base) {
      if (take("ᵀ")) base = Formula{Kind::transpose, {}, {*base}};
      else if (take("²")) base = Formula{Kind::power, {}, {*base, Formula{Kind::number, "2"}}};
      else if (take("^")) {
        const Result exponent = primary();
        if (!exponent) return exponent;
        base = Formula{Kind::power, {}, {*base, *exponent}};
      } else if (take("[")) {
        base = parts(Formula{Kind::subscript, {}, {*base}}, "]");
      } else {
        break;
      }
    }
    return base;
  }

  Result primary() {
    if (const Formula* input = mark()) return *input;
    if (take("(")) return bracketed();
    if (take("[")) {
      Result list = parts(Formula{Kind::list}, "]");
      if (list && list->parts.size() == 1 && list->parts[0].kind == Kind::relation) list->kind = Kind::indicator;
      return list;
    }
    for (const auto& [open, close, kind] : fences)
      if (take(open)) return parts(Formula{kind}, close);
    std::string name = word();
    if (name.empty()) return std::nullopt;
    if (name.find_first_not_of("0123456789.e+-") == name.npos || name == "∞") return Formula{Kind::number, name};
    for (std::string_view suffix : {"'(", "ᵀ(", "("})
      if (take(suffix)) {
        suffix.remove_suffix(1);
        return parts(Formula{Kind::call, name.append(suffix)}, ")");
      }
    return Formula{Kind::name, name};
  }

  Result bracketed() {
    const Result first = relation();
    if (!first || take(")")) return first;
    if (!take(" if ")) return std::nullopt;
    const Result condition = relation();
    if (!condition || !take(" else ")) return std::nullopt;
    const Result other = relation();
    if (!other || !take(")")) return std::nullopt;
    return Formula{Kind::conditional, {}, {*first, *condition, *other}};
  }

  // Formulas with commas between them, up to `close`.
  Result parts(Formula formula, std::string_view close) {
    if (take(close)) return formula;
    do {
      Result part = relation();
      if (!part) return part;
      formula.parts.push_back(std::move(*part));
    } while (take(", "));
    if (!take(close)) return std::nullopt;
    return formula;
  }

  const Formula* mark() {
    for (size_t i = 0; i < inputs_.size() && i < marks; ++i)
      if (take(formula_mark(i))) return &inputs_[i];
    return nullptr;
  }

  // A name, a number, or a range such as 1:7:2.
  std::string word() {
    size_t end = 0;
    while (end < rest_.size()) {
      const auto c = static_cast<unsigned char>(rest_[end]);
      const std::string_view here = rest_.substr(end);
      const auto starts = [&](std::string_view token) { return here.starts_with(token); };
      if (c < 0x80 ? !(std::isalnum(c) || c == '_' || c == '.' || c == ':' || c == '-' ||
                       (c == '+' && end > 0 && rest_[end - 1] == 'e'))
                   : std::ranges::any_of(operators, starts))
        break;
      ++end;
    }
    std::string name(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return name;
  }

  struct Fence {
    const char *open, *close;
    Kind kind;
  };
  static constexpr Fence fences[] = {
      {"|", "|", Kind::magnitude}, {"‖", "‖", Kind::norm}, {"⌊", "⌋", Kind::floor}, {"⌈", "⌉", Kind::ceil}};
  static constexpr std::string_view signs[] = {" > ", " ≥ ", " < ", " ≤ ", " = ", " ≠ ", " ∧ ", " ∨ ", " → "};
  static constexpr std::string_view operators[] = {"·", "−", "ᵀ", "²", "√", "‖", "⌊", "⌋", "⌈", "⌉"};

  std::string_view rest_;
  std::span<const Formula> inputs_;
};

}  // namespace

std::string formula_mark(size_t i) {
  std::string mark;
  append_character(mark, char32_t(0xE000 + std::min(i, marks - 1)));
  return mark;
}

Formula parse_formula(std::string_view text, std::span<const Formula> inputs) {
  if (auto formula = Parser(text, inputs).whole()) return *formula;
  std::string name(text);
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t at = 0; (at = name.find(formula_mark(i), at)) != name.npos;)
      name.replace(at, formula_mark(i).size(), to_text(inputs[i]));
  return {Kind::name, name};
}

Formula derivative(Formula of, Formula with_respect_to) {
  const size_t quantity = with_respect_to.quantity;
  return {Kind::derivative, {}, {std::move(of), std::move(with_respect_to)}, quantity};
}

Formula substitute(const Formula& formula, const std::function<const Formula*(const Formula&)>& replacement) {
  if (formula.kind == Kind::name || formula.kind == Kind::derivative) {
    const Formula* other = replacement(formula);
    return other ? *other : formula;
  }
  Formula result{formula.kind, formula.text, {}, formula.quantity};
  for (const Formula& part : formula.parts) result.parts.push_back(substitute(part, replacement));
  return result;
}

Formula simplify(Formula formula) {
  for (Formula& part : formula.parts) part = simplify(std::move(part));
  const auto is_one = [](const Formula& part) { return part.kind == Kind::number && part.text == "1"; };
  std::vector<Formula>& parts = formula.parts;
  switch (formula.kind) {
    case Kind::product:
      if (is_one(parts[0])) return parts[1];
      if (is_one(parts[1])) return parts[0];
      return formula;
    case Kind::quotient: return is_one(parts[1]) ? parts[0] : formula;
    case Kind::negation: return parts[0].kind == Kind::negation ? parts[0].parts[0] : formula;
    case Kind::transpose: return parts[0].kind == Kind::transpose ? parts[0].parts[0] : formula;
    default: return formula;
  }
}

size_t size_of(const Formula& formula) {
  size_t size = 1;
  for (const Formula& part : formula.parts) size += size_of(part);
  return size;
}

}  // namespace gradus
