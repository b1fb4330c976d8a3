#include "derive/recorded.h"

#include <algorithm>
#include <string_view>

namespace gradus {
namespace {

const Formula omitted{Formula::Kind::name, "…"}, unnamed{Formula::Kind::name, "const"};

Formula formula_of_input(const Ref<Node>& input, const NodeFormulas& known) {
  if (const auto found = known.find(input.get()); found != known.end()) return found->second;
  const std::string name = input && input->is_leaf() ? input->formula({}) : std::string();
  if (name.empty()) return unnamed;
  return input->name().empty() ? parse_formula(name) : Formula{Formula::Kind::name, name};
}

bool is_silent(const Node& step) {
  constexpr std::string_view silent[] = {"reshape", "expand", "identity", "clone", "to"};
  return std::ranges::count(silent, std::string_view(step.operation())) > 0;
}

}  // namespace

Formula formula_of(const Node& step, const NodeFormulas& known) {
  std::vector<std::string> marks;
  std::vector<Formula> inputs;
  for (const Ref<Node>& input : step.inputs()) {
    marks.push_back(formula_mark(inputs.size()));
    inputs.push_back(formula_of_input(input, known));
  }
  return parse_formula(step.formula(marks), inputs);
}

Formula formula_of(const Tensor& result, NodeFormulas known, int64_t first, size_t limit) {
  for (const Ref<Node>& step : Tape({&result, 1}, first)) {
    if (known.count(step.get())) continue;
    Formula formula = is_silent(*step) && step != result.node() ? formula_of_input(step->inputs()[0], known)
                                                                : simplify(formula_of(*step, known));
    known[step.get()] = size_of(formula) > limit ? omitted : std::move(formula);
  }
  return formula_of_input(result.node(), known);
}

bool is_incomplete(const Formula& formula) {
  return formula == omitted || formula == unnamed || std::ranges::any_of(formula.parts, is_incomplete);
}

}  // namespace gradus
