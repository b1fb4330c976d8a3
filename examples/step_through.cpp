// The derivation of a gradient, step by step: what ran, the rule of each step backward, its numbers, and whether finite
// differences agree.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "step_through_cases.h"

using namespace gradus;

Tensor loss_of(const std::string& name) {
  for (const cases::Case& each : cases::all)
    if (each.name == name) return each.loss();
  throw CLI::ValidationError("--case", "there is no case " + name);
}

void print_steps(const Derivation& derivation) {
  size_t step = derivation.forward().size();
  for (const BackwardStep& backward : derivation.backward()) {
    const ForwardStep& forward = derivation.forward()[backward.forward];
    std::cout << "\nStep " << ++step << ", backward through " << forward.operation << ": "
              << to_text(derivation.quantities()[forward.result].symbol) << " = " << to_text(forward.formula) << '\n';
    for (const Contribution& each : backward.contributions)
      std::cout << to_text(derivation.quantities()[each.to].gradient_symbol) << (each.first ? " = " : " += ")
                << to_text(each.rule) << " =\n"
                << each.value << '\n';
    std::cout << derivation.check_step(backward.forward) << '\n';
  }
}

int main(int argc, char** argv) try {
  std::string name = "scalar", names;
  for (const cases::Case& each : cases::all)
    names += "\n  " + std::string(each.name) + ": " + std::string(each.description);
  CLI::App app{"The derivation of a gradient, step by step. The cases:" + names};
  app.add_option("--case", name, "which derivation")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const KeepValues keep;
  const Tensor loss = loss_of(name);
  std::cout << Tape(loss);
  print_steps(Derivation(loss));
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
