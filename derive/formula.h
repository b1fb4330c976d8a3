#pragma once
// Formulas as trees: read from the text in which operations state them, put into one another, and written as text,
// LaTeX and MathML, with no more brackets than each of them needs.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// A formula: a name, a number, or an operation on other formulas.
struct Formula {
  enum class Kind {
    name,         ///< of a quantity, or whatever cannot be taken apart
    number,       ///<
    derivative,   ///< dL/dW: the parts are L and W
    call,         ///< text(parts…)
    list,         ///< [parts…]
    relation,     ///< a > b; text is the sign
    sum,          ///< a + b
    difference,   ///< a − b
    product,      ///< a·b, of elements
    matmul,       ///< a · b, of matrices
    quotient,     ///< a/b
    negation,     ///< −a
    root,         ///< √a
    power,        ///< a^b
    transpose,    ///< aᵀ
    subscript,    ///< a[text]
    magnitude,    ///< |a|
    norm,         ///< ‖a‖
    floor,        ///< ⌊a⌋
    ceil,         ///< ⌈a⌉
    indicator,    ///< [a], which is 1 where the condition a holds and 0 elsewhere
    conditional,  ///< (a if b else c): the parts are a, b and c
  };
  static constexpr size_t none = size_t(-1);

  Kind kind = Kind::name;
  std::string text = {};  ///< of a name, a number, a call, a relation, a subscript
  std::vector<Formula> parts = {};
  size_t quantity = none;  ///< what a name or a derivative stands for, for those who put formulas into one another

  bool operator==(const Formula&) const = default;
};

/// Reads a formula as operations print it: "$0 · $1ᵀ + $2", "(dy if x > 0 else 0.01·dy)", "sum(x, [0, 2])". `inputs`
/// replace the marks made by formula_mark(). What is not understood becomes a name as a whole; this never fails.
Formula parse_formula(std::string_view text, std::span<const Formula> inputs = {});
/// What stands for input i in a text to be parsed. No user's name can be mistaken for it.
std::string formula_mark(size_t i);

/// dL/dW
Formula derivative(Formula of, Formula with_respect_to);

/// The formula with every name and derivative for which `replacement` gives another formula replaced by that.
Formula substitute(const Formula& formula, const std::function<const Formula*(const Formula&)>& replacement);
/// Without factors of 1, doubled signs and doubled transposes.
Formula simplify(Formula formula);
/// The number of names, numbers and operations in it.
size_t size_of(const Formula& formula);

/// Text without control characters, which could steer a terminal, marks that turn the direction of writing, and what is
/// not UTF-8.
std::string printable(std::string_view text);
/// Unicode text: "dL/dv3 · W₂ᵀ". Control characters in names are left out.
std::string to_text(const Formula& formula);
/// LaTeX for math mode. Names are escaped.
std::string to_latex(const Formula& formula);
/// The content of a <math> element. Names are escaped.
std::string to_mathml(const Formula& formula);

}  // namespace gradus
