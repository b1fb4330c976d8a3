// How formulas are written: one table says what each operation looks like in text, LaTeX and MathML.

#include <array>
#include <cctype>

#include "core/utf8.h"
#include "derive/formula.h"

namespace gradus {
namespace {

using Kind = Formula::Kind;
enum Format { text, latex, mathml };

/// How tightly things bind; what stands in the place of an operand is bracketed if it binds less tightly.
enum Binding { open, relation, sum, product, factor, negation, postfix, atom };

struct Style {
  Kind kind;
  Binding binding;
  std::array<const char*, 3> pattern;  // in Format's order; $0, $1, … are the operands
  std::array<Binding, 3> operands;     // what they must at least be
  bool fenced = false;                 // LaTeX and MathML show by themselves where operands begin and end
};

// A matrix product beside a product of elements is bracketed, for (a · b)·c is not a · (b·c); see binding_in.
constexpr Style styles[] = {
    {Kind::relation, relation, {"$0 $t $1", "$0 $t $1", "$0<mo>$t</mo>$1"}, {sum, sum}},
    {Kind::sum, sum, {"$0 + $1", "$0 + $1", "$0<mo>+</mo>$1"}, {sum, sum}},
    {Kind::difference, sum, {"$0 − $1", "$0 - $1", "$0<mo>−</mo>$1"}, {sum, product}},
    {Kind::product, product, {"$0·$1", "$0 \\odot $1", "$0<mo>⊙</mo>$1"}, {product, product}},
    {Kind::matmul, product, {"$0 · $1", "$0 \\cdot $1", "$0<mo>·</mo>$1"}, {product, product}},
    {Kind::quotient,
     product,
     {"$0/$1", "\\frac{$0}{$1}", "<mfrac><mrow>$0</mrow><mrow>$1</mrow></mfrac>"},
     {product, negation},
     true},
    {Kind::negation, negation, {"−$0", "-$0", "<mo>−</mo>$0"}, {negation}},
    {Kind::root, postfix, {"√$0", "\\sqrt{$0}", "<msqrt>$0</msqrt>"}, {atom}, true},
    {Kind::power, postfix, {"$0^$1", "{$0}^{$1}", "<msup><mrow>$0</mrow><mrow>$1</mrow></msup>"}, {atom, atom}},
    {Kind::transpose, postfix, {"$0ᵀ", "{$0}^{\\top}", "<msup><mrow>$0</mrow><mo>⊤</mo></msup>"}, {postfix}},
    {Kind::magnitude, atom, {"|$0|", "\\left\\vert $0\\right\\vert ", "<mrow><mo>|</mo>$0<mo>|</mo></mrow>"}, {open}},
    {Kind::norm, atom, {"‖$0‖", "\\left\\Vert $0\\right\\Vert ", "<mrow><mo>‖</mo>$0<mo>‖</mo></mrow>"}, {open}},
    {Kind::floor, atom, {"⌊$0⌋", "\\lfloor $0\\rfloor", "<mrow><mo>⌊</mo>$0<mo>⌋</mo></mrow>"}, {open}},
    {Kind::ceil, atom, {"⌈$0⌉", "\\lceil $0\\rceil", "<mrow><mo>⌈</mo>$0<mo>⌉</mo></mrow>"}, {open}},
    {Kind::indicator, atom, {"[$0]", "\\left[$0\\right]", "<mrow><mo>[</mo>$0<mo>]</mo></mrow>"}, {open}},
    {Kind::conditional,
     atom,
     {"($0 if $1 else $2)", "\\left($0 \\text{ if } $1 \\text{ else } $2\\right)",
      "<mrow><mo>(</mo>$0<mtext> if </mtext>$1<mtext> else </mtext>$2<mo>)</mo></mrow>"},
     {open, open, open}},
    {Kind::derivative,
     atom,
     {"d$0/d$1", "\\frac{\\partial $0}{\\partial $1}",
      "<mfrac><mrow><mo>∂</mo>$0</mrow><mrow><mo>∂</mo>$1</mrow></mfrac>"},
     {open, open}},
};

const Style* style_of(Kind kind) {
  for (const Style& style : styles)
    if (style.kind == kind) return &style;
  return nullptr;
}

// As LaTeX, such commands as there are in mathematics, and none of the signs that mean something in Markdown's tables.
const char* latex_for(char c) {
  switch (c) {
    case '\\': return "\\backslash{}";
    case '~': return "\\sim{}";
    case '^': return "\\hat{}";
    case '|': return "\\vert{}";
    case '`': return "\\grave{}";
    case ' ': return "\\ ";
    default: return nullptr;
  }
}

std::string escaped(const std::string& name, Format format) {
  std::string result;
  for (char c : printable(name)) {
    if (format == mathml && (c == '<' || c == '>' || c == '&' || c == '"' || c == '\''))
      result += "&#" + std::to_string(int(c)) + ';';
    else if (format == latex && c != 0 && std::string_view("#$%&_{}").find(c) != std::string_view::npos)
      result += std::string("\\") + c;
    else if (format == latex && latex_for(c)) result += latex_for(c);
    else result += c;
  }
  return result;
}

// Letters with digits behind them are set with a subscript: v3, W12.
std::string name_text(const std::string& name, Format format) {
  if (format == text) return printable(name);
  size_t letters = 0;
  while (letters < name.size() && std::isalpha(static_cast<unsigned char>(name[letters]))) ++letters;
  const std::string digits = name.substr(letters);
  const bool indexed = letters == 1 && !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos;
  if (format == latex) {
    if (indexed) return name.substr(0, 1) + "_{" + digits + "}";
    return letters == 1 && name.size() == 1 ? name : "\\mathrm{" + escaped(name, latex) + "}";
  }
  if (indexed) return "<msub><mi>" + name.substr(0, 1) + "</mi><mn>" + digits + "</mn></msub>";
  return "<mi>" + escaped(name, mathml) + "</mi>";
}

std::string number_text(const std::string& number, Format format) {
  const size_t exponent = number.find('e');
  if (format == text) return number;
  if (number == "∞") return format == latex ? "\\infty" : "<mn>∞</mn>";
  if (exponent == number.npos) return format == latex ? number : "<mn>" + number + "</mn>";
  const std::string front = number.substr(0, exponent), power = std::to_string(std::atoi(&number[exponent + 1]));
  return format == latex ? front + " \\cdot 10^{" + power + "}"
                         : "<mn>" + front + "</mn><mo>·</mo><msup><mn>10</mn><mn>" + power + "</mn></msup>";
}

bool is_number(const Formula& formula) {
  return formula.kind == Kind::number || (formula.kind == Kind::negation && is_number(formula.parts[0]));
}

class Writer {
 public:
  explicit Writer(Format format) : format_(format) {}

  std::string write(const Formula& formula) const {
    switch (formula.kind) {
      case Kind::name: return name_text(formula.text, format_);
      case Kind::number: return number_text(formula.text, format_);
      case Kind::call: return function(formula.text) + fenced("(", listed(formula.parts, 0), ")");
      case Kind::list: return fenced("[", listed(formula.parts, 0), "]");
      case Kind::subscript: return subscript(formula);
      case Kind::power:
        if (format_ == text && formula.parts[1].text == "2") return operand(formula, 0) + "²";
        break;
      case Kind::product:  // with a number it is not a product of elements
        if (format_ != text && is_number(formula.parts[0])) return operand(formula, 0) + dot() + operand(formula, 1);
        if (format_ != text && is_number(formula.parts[1])) return operand(formula, 0) + dot() + operand(formula, 1);
        break;
      default: break;
    }
    return fill(formula, style_of(formula.kind)->pattern[format_]);
  }

 private:
  std::string fill(const Formula& formula, std::string_view pattern) const {
    std::string result;
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] != '$') {
        result += pattern[i];
      } else {
        const char what = pattern[++i];
        result += what == 't' ? sign(formula.text) : operand(formula, size_t(what - '0'));
      }
    }
    return result;
  }

  std::string operand(const Formula& formula, size_t i) const {
    const Formula& part = formula.parts[i];
    return binding_in(formula, i, part) ? write(part) : fenced("(", write(part), ")");
  }

  // Whether `part` binds tightly enough to stand as operand i without brackets.
  bool binding_in(const Formula& formula, size_t i, const Formula& part) const {
    const Style& outer = *style_of(formula.kind);
    if (outer.fenced && format_ != text) return true;
    const Style* inner = style_of(part.kind);
    if (part.kind == Kind::number) return part.text[0] != '-' || outer.operands[i] < factor;
    if (!inner) return true;
    const bool in_product = outer.binding == product, is_product = inner->binding == product;
    if (outer.operands[i] == open) return true;
    if (part.kind == Kind::negation) return outer.binding <= relation || (i == 0 && outer.binding <= product);
    if (in_product && is_product && part.kind != formula.kind) {
      if (part.kind == Kind::quotient && format_ != text) return true;
      const bool elements = part.kind != Kind::matmul && formula.kind != Kind::matmul;
      return elements && (i == 0 || formula.kind == Kind::product);
    }
    if (part.kind == Kind::derivative && format_ == text)
      return outer.binding <= product && formula.kind != Kind::quotient;
    return inner->binding >= outer.operands[i];
  }

  std::string subscript(const Formula& formula) const {
    const Formula& base = formula.parts[0];
    const Style* style = style_of(base.kind);
    const std::string name = !style || style->binding >= postfix ? write(base) : fenced("(", write(base), ")");
    return name + fenced("[", listed(formula.parts, 1), "]");
  }

  std::string listed(const std::vector<Formula>& parts, size_t first) const {
    std::string result;
    for (size_t i = first; i < parts.size(); ++i)
      result += (i == first ? "" : format_ == mathml ? "<mo>,</mo>" : ", ") + write(parts[i]);
    return result;
  }

  std::string fenced(const char* left, const std::string& content, const char* right) const {
    if (format_ == text) return left + content + right;
    if (format_ == latex) return std::string("\\left") + left + content + "\\right" + right;
    return std::string("<mrow><mo>") + left + "</mo>" + content + "<mo>" + right + "</mo></mrow>";
  }

  std::string function(const std::string& name) const {
    if (format_ == text) return printable(name);
    if (format_ == mathml) return "<mi>" + escaped(name, mathml) + "</mi>";
    std::string result = "\\operatorname{" + escaped(name, latex) + "}";
    if (name == "σ") return "\\sigma";
    for (const auto& [sign, command] : {std::pair{"ᵀ", "}^{\\top}"}, std::pair{"'", "}'"}})
      if (name.ends_with(sign)) return result.substr(0, result.size() - std::string_view(sign).size() - 1) + command;
    return result;
  }

  std::string sign(const std::string& sign) const {
    if (format_ == mathml) return escaped(sign, mathml);
    if (format_ == text) return sign;
    for (const auto& [unicode, command] :
         {std::pair{"≥", "\\ge"}, {"≤", "\\le"}, {"≠", "\\ne"}, {"∧", "\\land"}, {"∨", "\\lor"}, {"→", "\\to"}})
      if (sign == unicode) return command;
    return sign;
  }

  const char* dot() const { return format_ == latex ? " \\cdot " : "<mo>·</mo>"; }

  Format format_;
};

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto [valid, bytes, code] = first_character(text);
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    const bool turns = (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x206F);
    if (valid && !control && !turns) result += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result;
}

std::string to_text(const Formula& formula) { return Writer(text).write(formula); }
std::string to_latex(const Formula& formula) { return Writer(latex).write(formula); }
std::string to_mathml(const Formula& formula) { return Writer(mathml).write(formula); }

}  // namespace gradus
