// The smallest program: one gradient.

#include <torch/torch.h>

#include <cstdio>

int main() {
  torch::Tensor x = torch::tensor(3.0f, torch::requires_grad());
  (x * x).backward();
  std::printf("%g\n", x.grad().item<float>());
}
