// docs/operations.md is written from the code. With GRADUS_UPDATE_DOCS=1 this test rewrites it.

#include "derive/operation_table.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/file.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/exponential.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "tests/op_samples.h"

using namespace gradus;

namespace {

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
  return text;
}

std::string document() {
  std::string text =
      "# Operations\n\n"
      "Written from the code by `tests/operation_table_test.cpp`; run it with `GRADUS_UPDATE_DOCS=1` after a "
      "change.\n\n"
      "## Elementwise\n\n"
      "The operands broadcast and are promoted as in PyTorch; `y` is the result, `dy` the gradient of the result; "
      "`[condition]` is 1 where the condition holds and 0 elsewhere. What is kept for the gradients stays in memory "
      "until the backward pass; if only some operands need a gradient, only what their gradients read. Operations on "
      "int64 that say *yes* give int64, all others float32.\n\n" +
      operation_table() +
      "\n## Others\n\n"
      "As recorded in a run, all steps of the forward and the backward pass put together; reshapes, copies and "
      "broadcasts on the way are not mentioned. What would not be readable, "
      "such as the gradients that a kernel of their own computes, is only named: dy·∂y/∂x, or … for y.\n\n"
      "| call | y | gradients |\n|---|---|---|\n";
  for (const samples::Sample& sample : samples::op_samples()) {
    std::vector<Tensor> x = samples::inputs(sample.shapes, sample.low, sample.high);
    for (size_t i = 0; i < x.size(); ++i) x[i] = x[i].named(sample.names()[i]);
    const OperationFormulas derived = operation_formulas(sample.apply, x);
    const auto readable = [](const std::string& formula) { return formula.size() <= 120 && formula != "…"; };
    std::string gradients;
    for (size_t i = 0; i < derived.gradients.size(); ++i) {
      const std::string& gradient = derived.gradients[i];
      gradients += (i ? "<br>" : "") + (readable(gradient) ? gradient : "dy·∂y/∂" + x[i].name());
    }
    text += "| `" + sample.call + "` | " + (readable(derived.formula) ? cell(derived.formula) : "…") + " | " +
            cell(gradients) + " |\n";
  }
  return text;
}

}  // namespace

TEST_CASE("operation table: a computation and its gradients are written out") {
  const Tensor x = rand({3, 4}).named("x"), w = rand({4, 2}).named("W");
  const OperationFormulas product = operation_formulas([](auto in) { return exp(matmul(in[0], in[1])); }, {x, w});
  CHECK(product.formula == "exp(x · W)");
  CHECK(product.gradients == std::vector<std::string>{"(dy·y) · Wᵀ", "xᵀ · (dy·y)"});
  const OperationFormulas quotient = operation_formulas([](auto in) { return (in[0] - 1) / -in[0]; }, {x});
  CHECK(quotient.formula == "(x − 1)/(−x)");
  CHECK(operation_formulas([](auto in) { return sum(square(in[0] + in[0])); }, {x}).formula == "sum((x + x)²)");
}

TEST_CASE("operation table: docs/operations.md is up to date") {
  const std::filesystem::path path = std::filesystem::path(GRADUS_SOURCE) / "docs/operations.md";
  const std::string text = document();
  if (const char* update = std::getenv("GRADUS_UPDATE_DOCS"); update && *update == '1') write_file(path.string(), text);
  std::ifstream file(path);
  const bool up_to_date = std::string(std::istreambuf_iterator<char>(file), {}) == text;
  CHECK_MESSAGE(up_to_date,
                "docs/operations.md is stale: run gradus_tests -tc='operation table*' with "
                "GRADUS_UPDATE_DOCS=1");
}
