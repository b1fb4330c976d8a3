// What it costs to call an operation.

#include "benchmarks/libtorch/training.h"

using torch::Tensor;

namespace {

/// Chains of `y * a + b` over n elements.
void add_chains(int n) {
  Tensor x = torch::rand({n}), a = torch::full({n}, 0.999f, torch::requires_grad()),
         b = torch::full({n}, 0.001f, torch::requires_grad()), ones = torch::ones({n});
  auto chain = [=] {
    Tensor y = x;
    for (int i = 0; i < workloads::chain_length / 2; ++i) y = y * a + b;
    return y;
  };
  auto forward = [=] {
    benchmark::DoNotOptimize(chain());
    return 0.;
  };
  auto without_tape = [=] {
    torch::NoGradGuard no_grad;
    return forward();
  };
  auto both = [=] {
    drop_gradients({a, b});
    chain().backward(ones);
    return 0.;
  };
  const std::string name = "dispatch" + std::to_string(n);
  workloads::add(name + ".fwd", [=] { return workloads::Work{forward}; });
  workloads::add(name + ".nograd", [=] { return workloads::Work{without_tape}; });
  workloads::add(name + ".fwdbwd", [=] { return workloads::Work{both}; });
}

}  // namespace

void workloads::add_dispatch() {
  for (int n : {1, 64}) add_chains(n);
}
