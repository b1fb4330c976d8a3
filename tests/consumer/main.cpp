// A program of somebody else: one gradient, from the installed library.

#include <gradus.h>

#include <iostream>

int main() {
  gradus::Tensor x = gradus::Tensor(3).requires_grad();
  (x * x).backward();
  std::cout << "the gradient of x * x at 3 is " << x.grad().item<float>() << '\n';
  return x.grad().item<float>() == 6 ? 0 : 1;
}
