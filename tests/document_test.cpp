#include "derive/document.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "core/node.h"
#include "examples/step_through_cases.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/create.h"
#include "ops/custom.h"
#include "ops/exponential.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

/// Derivations of a program that stands in a file, as a user's does.
class Program {
 public:
  Program(const std::string& name, const std::string& text) : path_(folder_.write(name, text)) {}
  /// What `f` computes, as if line `line` asked for it.
  template <class F> Tensor at(int line, const F& f) const {
    const Scope scope("program", {path_.c_str(), line});
    return f();
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

// A small network.
Derivation example() {
  const KeepValues keep;
  static const Program program("mlp.cpp",
                               "const Tensor hidden = tanh(matmul(x, W1)).named(\"h\");\n"
                               "const Tensor fit = cross_entropy(matmul(hidden, W2), t);\n"
                               "const Tensor loss = fit + 0.1 * mean(square(W1));\n");
  const Tensor x = tensor({{1, 2}, {3, 4}, {-1, 0.5}}).named("x"), t = tensor(std::vector<int64_t>{0, 2, 1}).named("t");
  const Tensor w1 = tensor({{0.5, -1, 0.25}, {1, 0.125, -0.5}}).named("W1").requires_grad();
  const Tensor w2 = tensor({{1, -1, 0.5}, {0.5, 1, 2}, {-1, 0.25, 0.75}}).named("W2").requires_grad();
  const Tensor hidden = program.at(1, [&] { return tanh(matmul(x, w1)).named("h"); });
  const Tensor fit = program.at(2, [&] { return cross_entropy(matmul(hidden, w2), t); });
  return program.at(3, [&] { return fit + 0.1 * mean(square(w1)); });
}

void check_contains(const std::string& text, const std::string& part) {
  const bool is_there = text.find(part) != text.npos;
  CHECK_MESSAGE(is_there, part << " is not in\n" << text);
}

// What is displayed in a Markdown document.
std::vector<std::string> displays(const std::string& markdown) {
  std::vector<std::string> found;
  const std::string begin = "```math\n", end = "\n```\n";
  for (size_t at = 0; (at = markdown.find(begin, at)) != markdown.npos;) {
    at += begin.size();
    found.push_back(markdown.substr(at, markdown.find(end, at) - at));
  }
  return found;
}

// The numbers behind the last sign of equality.
std::vector<double> numbers(std::string latex) {
  latex = latex.substr(latex.rfind("= ") + 2);
  latex = std::regex_replace(latex, std::regex(" \\\\cdot 10\\^\\{(-?\\d+)\\}"), "e$1");
  std::vector<double> found;
  const std::regex number("-?\\d[0-9.e-]*");
  for (std::sregex_iterator match(latex.begin(), latex.end(), number), last; match != last; ++match)
    found.push_back(std::stod((*match)[0]));
  return found;
}

// All tensors whose numbers a document shows, in their order.
std::vector<Tensor> shown(const Derivation& derivation) {
  std::vector<Tensor> tensors;
  const auto& quantities = derivation.quantities();
  const auto is_leaf = [](const Quantity& each) { return each.step == Quantity::leaf && !each.is_number; };
  for (const Quantity& each : quantities)
    if (is_leaf(each)) tensors.push_back(each.value);
  for (const ForwardStep& step : derivation.forward()) tensors.push_back(quantities[step.result].value);
  for (const BackwardStep& step : derivation.backward())
    for (const Contribution& each : step.contributions) tensors.push_back(each.value);
  for (const Quantity& each : quantities)
    if (is_leaf(each) && each.gradient.defined()) tensors.push_back(each.gradient);
  return tensors;
}

void check_numbers(const Derivation& derivation) {
  const std::vector<std::string> found = displays(to_markdown(derivation));
  const std::vector<Tensor> expected = shown(derivation);
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    INFO(found[i]);
    const std::vector<double> printed = numbers(found[i]), values = expected[i].to_vector<double>();
    REQUIRE(printed.size() == values.size());
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::fabs(value));
    for (size_t k = 0; k < values.size(); ++k)
      CHECK(std::fabs(printed[k] - values[k]) <= 5.01e-4 * std::fabs(values[k]) + 1e-6 * largest);
  }
}

struct WrongCube {
  static constexpr Info info{"cube"};
  template <class T> auto forward(const T& x) const { return x * x * x; }
  template <class T> auto backward(const T& dy, const T& x) const { return dy * x * x; }
};

// As a kernel of one's own that knows one dtype only.
struct OnlyFloat32 {
  static constexpr Info info{"only_float32", "$0"};
  Tensor forward(const Tensor& x) const {
    if (x.dtype() != float32) fail("not for " + to_string(x.dtype()));
    return x;
  }
  Tensor backward(const Tensor& dy) const { return dy; }
};

// Whether a program is there; says so if it is not.
bool found(const std::string& program) {
  if (std::system(("command -v " + program + " >/dev/null").c_str()) == 0) return true;
  MESSAGE("skipped: there is no " << program);
  return false;
}

}  // namespace

TEST_CASE("document: docs/derivations/ is up to date") {
  const char* update = std::getenv("GRADUS_UPDATE_DOCS");
  const KeepValues keep;
  for (const cases::Case& each : cases::all) {
    const std::string path = GRADUS_SOURCE "/docs/derivations/" + std::string(each.name) + ".md";
    const Derivation derivation(each.loss());
    if (update && *update == '1') write_markdown(derivation, path);
    std::ifstream file(path);
    const bool up_to_date = std::string(std::istreambuf_iterator<char>(file), {}) == to_markdown(derivation);
    CHECK_MESSAGE(up_to_date, path, " is stale: run with GRADUS_UPDATE_DOCS=1");
  }
}

TEST_CASE("document: Markdown says what ran, each step, the gradients, and what the checks said") {
  const std::string text = to_markdown(example());
  CHECK(text.starts_with("# Derivation of $`L`$\n\n8 steps forward and 8 backward. "));
  for (const char* part :
       {"| 2 | `tanh` | $`h = \\operatorname{tanh}\\left(v_{1}\\right)`$ | [3, 3] | `mlp.cpp:1` |\n",
        "### 1. `matmul`\n\n`mlp.cpp:1`: `const Tensor hidden = tanh(matmul(x, W1)).named(\"h\");`\n\n```math\n"
        "v_{1} = x \\cdot W_{1} = \\begin{bmatrix} 2.5 & -0.75 & -0.75 \\\\ 5.5 & -2.5 & -1.25 \\\\ 0 & 1.063 & -0.5 "
        "\\end{bmatrix}\n```\n\n### 2. `tanh`\n\n```math\n",
        "`matmul`, step 3 backward\n\n```math\n\\frac{\\partial L}{\\partial h} = \\frac{\\partial L}{\\partial v_{2}} "
        "\\cdot {W_{2}}^{\\top} = ",
        "Added to what came before:\n\n```math\n\\frac{\\partial L}{\\partial W_{1}} \\mathrel{+} = ",
        "\\frac{\\partial L}{\\partial v_{3}} = 1\n",
        "\n### $`\\frac{\\partial L}{\\partial W_{2}}`$\n\n```math\n\\frac{\\partial L}{\\partial W_{2}} = {h}^{\\top} "
        "\\cdot \\frac{\\operatorname{softmax}\\left(h \\cdot W_{2}\\right) - "
        "\\operatorname{onehot}\\left(t\\right)}{3} ",
        "Agrees with central differences: relative error at most $`10^{-5}`$, 9 compared, 0 skipped.\n"})
    check_contains(text, part);
}

TEST_CASE("document: LaTeX and dot say the same") {
  const std::string latex = to_latex(example()), dot = to_dot(example());
  for (const char* part : {"\\subsubsection*{4. \\texttt{cross\\char95{}entropy}}\n",
                           "\\texttt{mlp.cpp:1}: \\texttt{const Tensor hidden = tanh(\\allowbreak{}matmul(",
                           "{$\\displaystyle v_{1} = x \\cdot W_{1} = \\begin{bmatrix} 2.5 & -0.75 & "})
    check_contains(latex, part);
  CHECK(latex.ends_with(" skipped.\n\\end{document}\n"));
  for (const char* part :
       {"[label=\"x\\n[3, 2]\", shape=ellipse]\n", "[label=\"v1 = x · W1\\nmatmul [3, 3]\", tooltip=\"mlp.cpp:1\"]\n",
        "[label=\"dL/dW1 += xᵀ · dL/dv1\"]\n"})
    check_contains(dot, part);
}

TEST_CASE("document: the numbers are those of the tape") {
  check_numbers(example());
  const KeepValues keep;
  manual_seed(1);
  const Tensor x = randn({2, 3, 4}).named("x").requires_grad(), s = tensor({1e-9, 3e7}).named("s").requires_grad();
  check_numbers(mean(square(x)) + sum(exp(x)) + sum(s * s));
  check_numbers(sum(to(randn({2, 2}).named("y"), float64) * mean(to(x, float64))));
}

TEST_CASE("document: of large tensors the edges are shown; what is no number; nothing") {
  const KeepValues keep;
  const auto display = [](const Tensor& x) { return displays(to_markdown(sum(x.named("x").requires_grad()))).at(0); };
  CHECK(display(to(arange(20), float32)) ==
        "x = \\begin{bmatrix} 0 & 1 & 2 & \\cdots & 17 & 18 & 19 \\end{bmatrix}\\ \\text{ of shape }[20]");
  CHECK(
      display(zeros({30, 2})).starts_with("x = \\begin{bmatrix} 0 & 0 \\\\ 0 & 0 \\\\ 0 & 0 \\\\ \\vdots \\\\ 0 & 0"));
  CHECK(display(zeros({2, 40, 50})) ==
        "x = \\left[ \\begin{bmatrix} 0 & \\cdots & 0 \\\\ \\vdots \\\\ 0 & \\cdots & 0 \\end{bmatrix},\\; "
        "\\begin{bmatrix} "
        "0 & \\cdots & 0 \\\\ \\vdots \\\\ 0 & \\cdots & 0 \\end{bmatrix} \\right]\\ \\text{ of shape }[2, 40, 50]");
  CHECK(display(tensor({-0.0, INFINITY, -INFINITY, NAN})) ==
        "x = \\begin{bmatrix} 0 & \\infty & -\\infty & \\text{nan} \\end{bmatrix}");
  CHECK(display(tensor({1, 1e-8, 0.015625})) == "x = \\begin{bmatrix} 1 & 0 & 0.01563 \\end{bmatrix}");
  CHECK(display(zeros({0, 3})) == "x = [\\,]\\ \\text{ of shape }[0, 3]");
}

TEST_CASE("document: a check that fails, and one that cannot be made, are told") {
  const KeepValues keep;
  const Tensor x = tensor({1, 2}).named("x").requires_grad();
  check_contains(to_markdown(sum(map(WrongCube{}, x))), "Differs from central differences: `gradcheck failed");
  check_contains(to_markdown(sum(apply(OnlyFloat32{}, x))), "Not checked: `only_float32: not for float64 (document_");
}

TEST_CASE("document: names and lines of source may hold any characters") {
  const std::string name = "$\\input{x}|<b>\"\x01\n\\end{document}``` a_b~c^d%#&θé日′";
  const KeepValues keep;
  const Program program("p`$|_.cpp", "x; // ```\\input{y} $ | <b> ` % \x1b[1m\n");
  const auto derive = [&](const Tensor& x) -> Derivation {
    return program.at(1, [&] { return sum(tanh(x.named(name).requires_grad())); });
  };
  const Derivation derivation = derive(tensor({1, 2}));
  const std::string markdown = to_markdown(derivation), latex = to_latex(derivation), dot = to_dot(derivation);
  check_contains(markdown,
                 "\\operatorname{tanh}\\left(\\mathrm{\\$\\backslash{}input\\{x\\}\\vert{}<b>\"\\backslash{}end\\{"
                 "document\\}\\grave{}\\grave{}\\grave{}\\ a\\_b\\sim{}c\\hat{}d\\%\\#\\&θé日′}\\right)");
  check_contains(markdown, "``p`$|_.cpp:1``: ````x; // ```\\input{y} $ | <b> ` % [1m````");
  check_contains(latex, "c\\hat{}d\\%\\#\\&\\ensuremath{\\theta }\\text{é}\\text{U+65E5}\\ensuremath{{}^{\\prime}}}");
  check_contains(latex, "\\texttt{x; // ```\\char92{}input\\char123{}y\\char125{} \\char36{} | <b> ` \\char37{} [1m}");
  check_contains(dot,
                 "q0 [label=\"$\\\\input{x}|<b>\\\"\\\\end{document}``` a_b~c^d%#&θé日′\\n[2]\", shape=ellipse]\n");
  for (const std::string& text : {markdown, latex, dot}) {
    CHECK(std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ' && c != '\n') || c == 0x7F; }));
    CHECK(text.find("gradus-") == text.npos);  // the folder
  }
  // Each row of the table has its five cells.
  const std::regex row("\\n\\|(?: (?:[^|\\n]|\\\\\\|)* \\|){5}(?=\\n)");
  CHECK(std::distance(std::sregex_iterator(markdown.begin(), markdown.end(), row), {}) == 3);

  const TemporaryFolder folder;
  const std::string cd = "cd '" + folder.path("") + "' && ";
  if (found("dot")) {
    write_dot(derivation, folder.path("d.dot"));
    CHECK(std::system((cd + "dot -Tsvg d.dot > d.svg 2> errors && test ! -s errors").c_str()) == 0);
    check_contains(folder.read("d.svg"), ">$\\input{x}|&lt;b&gt;&quot;\\end{document}");
  }
  if (found("pdflatex")) {
    write_latex(derivation, folder.path("d.tex"));
    write_latex(example(), folder.path("e.tex"));
    CHECK(std::system((cd + "pdflatex -halt-on-error d >log 2>&1 && pdflatex -halt-on-error e >>log 2>&1").c_str()) ==
          0);
    CHECK(folder.read("log").find("Overfull") == std::string::npos);
  }
}

TEST_CASE("document: the file appears whole or not at all") {
  const TemporaryFolder folder;
  const Derivation derivation = example();
  write_markdown(derivation, folder.path("d.md"));
  write_latex(derivation, folder.path("d.tex"));
  write_dot(derivation, folder.path("d.dot"));
  CHECK(folder.read("d.md") == to_markdown(derivation));
  CHECK(folder.read("d.tex") == to_latex(derivation));
  CHECK(folder.read("d.dot") == to_dot(derivation));
  CHECK(folder.count() == 3);
  CHECK(error_text([&] { write_dot(derivation, folder.path("none/d.dot")); }, folder.path("none")) ==
        "write_dot: none/d.dot: cannot be written (No such file or directory)");
}
