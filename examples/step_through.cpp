// The derivation of a gradient, step by step: what ran, the rule of each step backward, its numbers, and whether finite
// differences agree.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <string>

#include "step_through_cases.h"

using namespace gradus;

int main(int argc, char** argv) try {
  std::string name = "scalar", list;
  std::map<std::string, Tensor (*)()> losses;
  for (const cases::Case& each : cases::all) {
    losses[each.name] = each.loss;
    list += std::string("\n  ") + each.name + ": " + each.description;
  }
  bool interactive = false;
  CLI::App app{"The derivation of a gradient, step by step. The cases are" + list};
  app.add_option("--case", name, "which derivation")->check(CLI::IsMember(losses))->capture_default_str();
  app.add_flag("--interactive", interactive, "walk through the steps with commands");
  CLI11_PARSE(app, argc, argv);

  const KeepValues keep;
  const Tensor loss = losses[name]();
  const Derivation derivation(loss);
  if (interactive) {
    step(derivation);
  } else {
    std::cout << Tape(loss);
    print_steps(derivation, std::cout);
  }
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
