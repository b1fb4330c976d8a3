#pragma once
// A training step on Gradus.

#include <gradus.h>

#include <memory>

#include "benchmarks/workloads.h"

/// One training step: `loss(net)`, its gradients, the optimizer.
template <class Optimizer, class Net, class Options, class Loss>
workloads::Work training_step(const Net& net, const Options& options, Loss loss) {
  auto optimizer = std::make_shared<Optimizer>(gradus::parameters(net), options);
  auto step = [=]() mutable {
    optimizer->zero_grad();
    gradus::Tensor value = loss(net);
    value.backward();
    optimizer->step();
    return double(value.item());
  };
  return {step, gradus::count(net)};
}
