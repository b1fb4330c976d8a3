#include "derive/step_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/utf8.h"
#include "derive/console.h"
#include "derive/source.h"

namespace gradus {
namespace {

std::string name_of(const Derivation& derivation, size_t quantity) {
  return to_text(derivation.quantities()[quantity].symbol);
}

std::string gradient_name_of(const Derivation& derivation, size_t quantity) {
  return to_text(derivation.quantities()[quantity].gradient_symbol);
}

std::string strong(const std::string& text) { return mark::strong + text + mark::end; }

std::string formula_text(const Derivation& derivation, const ForwardStep& step) {
  return name_of(derivation, step.result) + " = " + to_text(step.formula);
}

std::string rule_text(const Derivation& derivation, const Contribution& contribution) {
  return gradient_name_of(derivation, contribution.to) + (contribution.first ? " = " : " += ") +
         to_text(contribution.rule);
}

}  // namespace

const ForwardStep& forward_of(const Derivation& derivation, size_t step) {
  const BackwardStep* backward = backward_of(derivation, step);
  return derivation.forward()[backward ? backward->forward : step - 1];
}

const BackwardStep* backward_of(const Derivation& derivation, size_t step) {
  const size_t forward = derivation.forward().size();
  return step > forward ? &derivation.backward()[step - forward - 1] : nullptr;
}

std::string value_text(const std::string& name, const Tensor& value) {
  std::ostringstream numbers;
  numbers << value;
  const std::string indent(count_characters(name) + 5, ' ');
  std::string text = "  " + printable(name) + " = ";
  for (const char c : numbers.str()) {
    if (text.back() == '\n' && c != '\n') text += indent;
    text += c;
  }
  return text + '\n';
}

std::string rule_text(const Derivation& derivation, size_t step) {
  const BackwardStep* backward = backward_of(derivation, step);
  std::string text = "  " + formula_text(derivation, forward_of(derivation, step)) + '\n';
  if (!backward) return text;
  for (const Contribution& each : backward->contributions) text += "  " + strong(rule_text(derivation, each)) + '\n';
  return text;
}

std::string step_text(const Derivation& derivation, size_t step) {
  const BackwardStep* backward = backward_of(derivation, step);
  const ForwardStep& forward = forward_of(derivation, step);
  std::string text = strong("Step " + std::to_string(step) + (backward ? ", backward through " : ", forward: ") +
                            printable(forward.operation)) +
                     (forward.module.empty() ? "" : " in " + printable(forward.module)) + '\n';
  if (backward) {
    text += "  " + formula_text(derivation, forward) + '\n';
    for (const Contribution& each : backward->contributions) {
      const std::string name = gradient_name_of(derivation, each.to);
      text += "  " + strong(rule_text(derivation, each)) + '\n' +
              value_text(each.first ? name : "its share of " + name, each.value);
    }
  } else {
    text += "  " + strong(formula_text(derivation, forward)) + '\n';
    for (auto input = forward.inputs.begin(); input != forward.inputs.end(); ++input)
      if (const Quantity& quantity = derivation.quantities()[*input];
          !quantity.is_number && std::find(forward.inputs.begin(), input, *input) == input)
        text += value_text(name_of(derivation, *input), quantity.value);
    text += value_text(name_of(derivation, forward.result), derivation.quantities()[forward.result].value);
  }
  return text + mark::faint + "  " + where_text(forward) + mark::end + '\n';
}

std::string overview_text(const Derivation& derivation, size_t step) {
  const BackwardStep* backward = backward_of(derivation, step);
  const ForwardStep& forward = forward_of(derivation, step);
  std::string rules = backward ? "" : formula_text(derivation, forward) + (forward.fused ? "  (fused)" : "");
  if (backward)
    for (const Contribution& each : backward->contributions)
      rules += (rules.empty() ? "" : ", ") + rule_text(derivation, each);
  return fmt::format("{:3} {}  {}: {}", step, backward ? "↩" : " ", printable(forward.operation), rules);
}

std::string where_text(const ForwardStep& step) {
  return printable(to_string(step.where)) + (step.source.empty() ? "" : ": " + printable(step.source));
}

std::string source_text(const ForwardStep& step) {
  constexpr int around = 4;
  const std::vector<std::string> lines = source_lines(step.where);
  if (lines.empty()) fail("the source cannot be read: " + to_string(step.where));
  std::string text;
  const int last = std::min(int(lines.size()), step.where.line + around);
  for (int number = std::max(1, step.where.line - around); number <= last; ++number) {
    std::string line = lines[size_t(number) - 1];
    std::ranges::replace(line, '\t', ' ');
    const bool here = number == step.where.line;
    const std::string shown = fmt::format("{:4}  {}", number, printable(line));
    text += (here ? "→ " + strong(shown) : "  " + shown) + '\n';
  }
  return text;
}

std::string check_text(const GradcheckResult& result) {
  std::ostringstream text;
  text.precision(result ? 2 : 9);
  if (!result.problem.empty()) {
    text << mark::bad << "cannot be checked" << mark::end << ": " << result.problem;
  } else if (result) {
    text << result.compared << (result.compared == 1 ? " element agrees" : " elements agree")
         << " with finite differences, to " << result.relative_error;
    if (result.skipped) text << "; " << result.skipped << " at a kink left out";
  } else {
    text << mark::bad << "WRONG" << mark::end << ": for " << printable(result.name) << result.element
         << " the rule gives " << result.analytic << ", finite differences " << result.numeric;
  }
  return text.str();
}

}  // namespace gradus
