// The graph of a derivation for Graphviz.

#include <fmt/format.h>

#include "derive/document.h"

namespace gradus {
namespace {

// Of lines of text, each in the middle, for a label between quotes.
std::string label(std::initializer_list<std::string> lines) {
  std::string result;
  for (const std::string& line : lines) {
    if (!result.empty()) result += "\\n";
    for (const char c : to_text(Formula{.text = line}))
      result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return result;
}

}  // namespace

std::string to_dot(const Derivation& derivation) {
  std::string dot =
      "digraph derivation {\n"
      "  node [shape=box, fontname=\"Helvetica\", fontsize=11]\n"
      "  edge [fontname=\"Helvetica\", fontsize=10]\n";
  for (size_t i = 0; i < derivation.quantities().size(); ++i) {
    const Quantity& quantity = derivation.quantities()[i];
    const std::string shape = to_string(quantity.value.shape());
    if (quantity.is_number) {
      dot += fmt::format("  q{} [label=\"{}\", shape=plaintext]\n", i, label({quantity.name}));
    } else if (quantity.step == Quantity::leaf) {
      dot += fmt::format("  q{} [label=\"{}\", shape=ellipse]\n", i, label({quantity.name, shape}));
    } else {
      const ForwardStep& step = derivation.forward()[quantity.step];
      dot += fmt::format("  q{} [label=\"{}\", tooltip=\"{}\"]\n", i,
                         label({quantity.name + " = " + to_text(step.formula), step.operation + ' ' + shape}),
                         label({to_string(step.where)}));
    }
  }
  for (const ForwardStep& step : derivation.forward())
    for (const size_t input : step.inputs) dot += fmt::format("  q{} -> q{}\n", input, step.result);
  dot += "  edge [color=\"#d55e00\", fontcolor=\"#d55e00\", style=dashed, dir=back]\n";
  for (const BackwardStep& step : derivation.backward())
    for (const Contribution& each : step.contributions)
      dot += fmt::format("  q{} -> q{} [label=\"{}\"]\n", each.to, derivation.forward()[step.forward].result,
                         label({to_text(derivation.quantities()[each.to].gradient_symbol) +
                                (each.first ? " = " : " += ") + to_text(each.rule)}));
  return dot + "}\n";
}

}  // namespace gradus
