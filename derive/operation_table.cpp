#include "derive/operation_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "derive/recorded.h"
#include "ops/create.h"
#include "ops/operations.h"

namespace gradus {
namespace {

// A "|" must not end the cell of a table.
std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
  return text;
}

}  // namespace

OperationFormulas operation_formulas(const std::function<Tensor(std::span<const Tensor>)>& f,
                                     const std::vector<Tensor>& inputs) {
  std::vector<Tensor> x;
  NodeFormulas known;
  for (const Tensor& input : inputs) {
    x.push_back(input.detach().named(input.name()).requires_grad());
    known[x.back().node().get()] = {Formula::Kind::name, input.name()};
  }
  const Tensor y = f(x), dy = ones_like(y).requires_grad();
  OperationFormulas result{to_text(formula_of(y, known)), {}};
  known[y.node().get()] = {Formula::Kind::name, "y"};
  known[dy.node().get()] = {Formula::Kind::name, "dy"};
  for (const Tensor& gradient : grad({y}, x, {.create_graph = true}, {dy}))
    result.gradients.push_back(gradient.defined() ? to_text(formula_of(gradient, known)) : "0");
  return result;
}

std::string operation_table() {
  std::string text =
      "| operation | y | gradients | kept for them | int64 |\n"
      "|---|---|---|---|---|\n";
  for (const Operation& operation : elementwise_operations()) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", operation.name, cell(operation.formula),
                        cell(fmt::format("{}", fmt::join(operation.gradients, "<br>"))),
                        fmt::join(operation.keeps, ", "), operation.integers ? "yes" : "");
  }
  return text;
}

}  // namespace gradus
