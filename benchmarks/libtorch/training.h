#pragma once
// A training step on libtorch, which drops gradients instead of zeroing them.

#include <torch/torch.h>

#include <memory>

#include "benchmarks/workloads.h"

inline void drop_gradients(const std::vector<torch::Tensor>& tensors) {
  for (const torch::Tensor& tensor : tensors) tensor.mutable_grad() = torch::Tensor();
}

/// One training step: `loss(net)`, its gradients, the optimizer.
template <class Optimizer, class Net, class Options, class Loss>
workloads::Work training_step(std::shared_ptr<Net> net, const Options& options, Loss loss) {
  const std::vector<torch::Tensor> parameters = net->parameters();
  auto optimizer = std::make_shared<Optimizer>(parameters, options);
  auto step = [=]() mutable {
    drop_gradients(parameters);
    torch::Tensor value = loss(*net);
    value.backward();
    optimizer->step();
    return double(value.template item<float>());
  };
  int64_t count = 0;
  for (const torch::Tensor& parameter : parameters) count += parameter.numel();
  return {step, count};
}
