#include "derive/operation_table.h"

#include <string_view>
#include <unordered_map>

#include "core/tape.h"
#include "ops/create.h"
#include "ops/operations.h"

namespace gradus {
namespace {

using Texts = std::unordered_map<const Node*, std::string>;

// The operators that stand outside of all brackets: "+", "·" …, with spaces for sums.
bool has_outside(std::string_view text, std::string_view operators) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '[') ++depth;
    else if (text[i] == ')' || text[i] == ']') --depth;
    else if (depth == 0 && operators.find(text[i]) != operators.npos && (text[i] & 0xc0) != 0x80) return true;
  }
  return false;
}

// `text` in brackets, unless it stands alone or between those of the formula around it.
std::string bracketed(const std::string& text, std::string_view before, std::string_view after) {
  const bool enclosed = (before.empty() || before.ends_with("(") || before.ends_with(", ") || before.ends_with("|")) &&
                        (after.empty() || after.starts_with(")") || after.starts_with(",") || after.starts_with("|"));
  const bool factor = (before.empty() || before.ends_with(" ") || before.ends_with("·")) &&
                      (after.empty() || after.starts_with(" ") || after.starts_with("·"));
  const bool sum = has_outside(text, " /") || text.starts_with("−"), product = text.find("·") != text.npos;
  return enclosed || (!sum && (factor || !product)) ? text : '(' + text + ')';
}

// The formula of a step with those of its inputs put in their places.
std::string substituted(const Node& step, const Texts& texts) {
  std::vector<std::string> marks;
  for (size_t i = 0; i < step.inputs().size(); ++i) marks.push_back(std::string(1, char(i + 1)));
  std::string result = step.formula(marks);
  for (size_t i = marks.size(); i-- > 0;) {
    const Ref<Node>& input = step.inputs()[i];
    const auto known = texts.find(input.get());
    const std::string text = known != texts.end() ? known->second : "const";
    for (size_t at = 0; (at = result.find(marks[i], at)) != std::string::npos;) {
      const std::string_view all = result;
      const std::string piece = bracketed(text, all.substr(0, at), all.substr(at + 1));
      result.replace(at, 1, piece);
      at += piece.size();
    }
  }
  return result;
}

// The formula of `result` in terms of the nodes that have a text already.
std::string written_out(const Tensor& result, Texts& texts) {
  for (const Ref<Node>& step : Tape(result))
    if (!texts.count(step.get())) texts[step.get()] = substituted(*step, texts);
  const auto known = texts.find(result.node().get());
  return known != texts.end() ? known->second : "const";
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
  Texts forward = texts;
  result.formula = written_out(y, forward);
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
