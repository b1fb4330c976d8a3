// The derivatives of one function of two variables: how they are recorded, computed and checked.

#include <gradus.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <vector>

using namespace gradus;

Tensor f(const Tensor& x, const Tensor& y) {
  const Tensor wave = sin(x * y);
  return wave + square(x) / y;
}

int main(int argc, char** argv) try {
  double x_value = 1.5, y_value = 2;
  CLI::App app{"The derivatives of f(x, y) = sin(x·y) + x²/y"};
  app.add_option("--x", x_value, "where to take the derivatives")->capture_default_str();
  app.add_option("--y", y_value)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const Tensor x = Tensor(x_value, float64).named("x").requires_grad();
  const Tensor y = Tensor(y_value, float64).named("y").requires_grad();
  const Tensor z = f(x, y).named("z");
  std::cout << "The function was recorded step by step as it was computed:\n\n" << Tape(z);
  std::cout << "\nz = " << z.item<double>() << "\n\n";

  // The tape is walked backwards. With create_graph this walk is recorded, too, so it can be differentiated in turn.
  const std::vector<Tensor> first = grad({z}, {x, y}, {.create_graph = true});
  const double a = x_value, b = y_value;
  std::cout << "The tape walked backwards gives the gradients (and, in brackets, the formulas found by hand):\n\n"
            << "dz/dx = " << first[0].item<double>() << "    (y·cos(x·y) + 2·x/y = " << b * std::cos(a * b) + 2 * a / b
            << ")\ndz/dy = " << first[1].item<double>()
            << "    (x·cos(x·y) − x²/y² = " << a * std::cos(a * b) - a * a / (b * b)
            << ")\n\nThat walk was recorded as well. These steps lead to dz/dx:\n\n"
            << Tape(first[0]);

  const Tensor second = grad(first[0], x);
  std::cout << "\nso it can be walked backwards again:\n\nd²z/dx² = " << second.item<double>()
            << "    (2/y − y²·sin(x·y) = " << 2 / b - b * b * std::sin(a * b) << ")\n\n"
            << "Finite differences agree: " << gradcheck(f, {.second_order = true}, x, y) << '\n';
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
