// The derivation of a gradient, step by step: what ran, the rule of each step backward, its numbers, and whether finite
// differences agree.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "step_through_cases.h"

using namespace gradus;

int main(int argc, char** argv) try {
  std::string name = "scalar";
  const auto losses = cases::losses();
  bool interactive = false;
  CLI::App app{"The derivation of a gradient, step by step. The cases are" + cases::list()};
  app.add_option("--case", name, "which derivation")->check(CLI::IsMember(losses))->capture_default_str();
  app.add_flag("--interactive", interactive, "walk through the steps with commands");
  std::string html, markdown, latex, dot;
  app.add_option("--html", html, "write a page to this file");
  app.add_option("--markdown", markdown, "write a document in Markdown");
  app.add_option("--latex", latex, "write one in LaTeX");
  app.add_option("--dot", dot, "write the graph, for Graphviz");
  CLI11_PARSE(app, argc, argv);

  const KeepValues keep;
  const Tensor loss = losses.at(name)();
  const Derivation derivation(loss);
  if (!html.empty()) write_html(derivation, html);
  if (!markdown.empty()) write_markdown(derivation, markdown);
  if (!latex.empty()) write_latex(derivation, latex);
  if (!dot.empty()) write_dot(derivation, dot);
  if (interactive) {
    step(derivation);
  } else if ((html + markdown + latex + dot).empty()) {
    std::cout << Tape(loss);
    print_steps(derivation, std::cout);
  }
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
