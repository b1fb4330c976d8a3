// Walks through a textbook derivation in the terminal: gradus-step softmax

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <string>

#include "step_through_cases.h"

using namespace gradus;

int main(int argc, char** argv) {
  std::string name = "scalar";
  const auto losses = cases::losses();
  CLI::App app{"Walks through a derivation in the terminal; step_through writes pages and documents. The cases are" +
               cases::list()};
  app.add_option("case", name, "which derivation")->check(CLI::IsMember(losses))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const KeepValues keep;
  step(losses.at(name)());
}
