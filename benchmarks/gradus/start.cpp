// The smallest program: one gradient. scripts/measure-footprint times it.

#include <gradus.h>

#include <cstdio>

int main() {
  gradus::Tensor x = gradus::Tensor(3).requires_grad();
  (x * x).backward();
  std::printf("%g\n", x.grad().item());
}
