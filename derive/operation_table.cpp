#include "derive/operation_table.h"

#include <string_view>
#include <unordered_map>

#include "core/tape.h"
#include "ops/create.h"
#include "ops/operations.h"

namespace gradus {
namespace {

using Texts = std::unordered_map<const Node*, std::string>;

// Whether `mark` stands in the text outside of all brackets.
bool outside(std::string_view text, std::string_view mark) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '[') ++depth;
    if (text[i] == ')' || text[i] == ']') --depth;
    if (depth == 0 && text.substr(i).starts_with(mark)) return true;
  }
  return false;
}

// `text` in brackets where it would otherwise be torn apart by the formula around it.
std::string bracketed(const std::string& text, std::string_view before, std::string_view after) {
  const auto opens = [&](auto... marks) { return before.empty() || (before.ends_with(marks) || ...); };
  const auto closes = [&](auto... marks) { return after.empty() || (after.starts_with(marks) || ...); };
  const bool sum = outside(text, " ") || text.starts_with("−"), product = outside(text, "·") || outside(text, "/");
  const bool whole = opens("(", ", ", "|") && closes(")", ",", "|");
  const bool fits =
      sum ? before.empty() && closes(" +", " −") : opens("·", "+ ", "−", "− ") && closes("·", "/", " +", " −");
  return whole || fits || (!sum && !product) ? text : '(' + text + ')';
}

// What a formula calls an input: by what it was computed from, by its name or value.
std::string text_of(const Ref<Node>& input, const Texts& texts) {
  if (const auto known = texts.find(input.get()); known != texts.end()) return known->second;
  const std::string name = input && input->is_leaf() ? input->formula({}) : std::string();
  return name.empty() ? "const" : name;
}

// The formula of a step with those of its inputs put in their places.
std::string substituted(const Node& step, const Texts& texts) {
  std::vector<std::string> marks;
  for (size_t i = 0; i < step.inputs().size(); ++i) marks.push_back(std::string(1, char(i + 1)));
  std::string result = step.formula(marks);
  for (size_t i = 0; i < marks.size(); ++i) {
    const std::string text = text_of(step.inputs()[i], texts);
    for (size_t at = 0; (at = result.find(marks[i], at)) != std::string::npos;) {
      const std::string piece =
          bracketed(text, std::string_view(result).substr(0, at), std::string_view(result).substr(at + 1));
      result.replace(at, 1, piece);
      at += piece.size();
    }
  }
  return result;
}

// The formula of `result` in terms of the nodes that have a text already. Reshapes on the way are not mentioned. What
// grows beyond measure, as a recurrence does, whose formula doubles its length with each step, is "…" as a whole.
std::string written_out(const Tensor& result, Texts texts) {
  for (const Ref<Node>& step : Tape(result)) {
    if (texts.count(step.get())) continue;
    const bool silent = step->operation() == std::string_view("reshape") && step != result.node();
    std::string text = silent ? text_of(step->inputs()[0], texts) : substituted(*step, texts);
    texts[step.get()] = text.size() > 400 || text.find("…") != text.npos ? "…" : std::move(text);
  }
  return text_of(result.node(), texts);
}

const char* kept(const Operation& operation) {
  switch (operation.keeps) {
    case detail::Keeps::inputs: return "operands";
    case detail::Keeps::output: return "result";
    case detail::Keeps::both: return "both";
    default: return "";
  }
}

// A "|" must not end the cell of a table.
std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
  return text;
}

}  // namespace

Derivation derivation(const std::function<Tensor(std::span<const Tensor>)>& f, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> x;
  Texts texts;
  for (const Tensor& input : inputs) {
    x.push_back(input.detach().named(input.name()).requires_grad());
    texts[x.back().node().get()] = input.name();
  }
  const Tensor y = f(x), dy = ones_like(y).requires_grad();
  Derivation result;
  result.formula = written_out(y, texts);
  texts[y.node().get()] = "y";
  texts[dy.node().get()] = "dy";
  for (const Tensor& gradient : grad({y}, x, {.create_graph = true}, {dy}))
    result.gradients.push_back(gradient.defined() ? written_out(gradient, texts) : "0");
  return result;
}

std::string operation_table() {
  std::string text =
      "| operation | y | gradients | kept for them | int64 |\n"
      "|---|---|---|---|---|\n";
  for (const Operation& operation : elementwise_operations()) {
    std::string gradients;
    for (const std::string& gradient : operation.gradients) gradients += (gradients.empty() ? "" : "<br>") + gradient;
    text += std::string("| `") + operation.name + "` | " + cell(operation.formula) + " | " + cell(gradients) + " | " +
            kept(operation) + " | " + (operation.integers ? "yes" : "") + " |\n";
  }
  return text;
}

}  // namespace gradus
