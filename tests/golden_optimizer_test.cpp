#include <doctest/doctest.h>

#include "nn/optim.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/join.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/view.h"
#include "tests/golden.h"

using namespace gradus;

namespace {

// Ten steps on a layer with a tanh: the parameters after each of them, the optimiser's state after the last.
StateDict ten_steps(const golden::Case& one, const auto& make) {
  const auto inputs = one.inputs();
  const Tensor weight = one.given.at("parameter.0").requires_grad(), bias = one.given.at("parameter.1").requires_grad();
  auto optimizer = make(weight, bias);
  golden::Tensors weights, biases;
  for (int i = 0; i < 10; ++i) {
    optimizer.zero_grad();
    mse_loss(tanh(matmul(inputs[0], weight) + bias), inputs[1]).backward();
    optimizer.step();
    weights.push_back(clone(weight.detach()));
    biases.push_back(clone(bias.detach()));
  }
  StateDict results = {{"steps.0", stack(weights)}, {"steps.1", stack(biases)}};
  for (const auto& [name, tensor] : optimizer.state_dict())
    if (!name.starts_with("group") && !name.ends_with(".step")) results["state." + name] = tensor;
  return results;
}

struct Optimizers {
  golden::File file{"optimizer"};

  template <class Options> void operator()(const std::string& name, const Options& options) {
    file.check(name, [&](const golden::Case& one) {
      return ten_steps(one, [&](auto& weight, auto& bias) {
        return optim::Optimizer<Options>({weight, bias}, options);
      });
    });
  }
};

}  // namespace

TEST_CASE("golden: optimisers agree with PyTorch") {
  using namespace optim;
  Optimizers check;
  check("SGD/plain", SGDOptions{.lr = 0.1});
  check("SGD/momentum", SGDOptions{.lr = 0.1, .momentum = 0.9});
  check("SGD/dampening", SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.3});
  check("SGD/nesterov", SGDOptions{.lr = 0.1, .momentum = 0.8, .weight_decay = 0.05, .nesterov = true});
  check("SGD/weight_decay", SGDOptions{.lr = 0.1, .weight_decay = 0.1});
  check("Adam/plain", AdamOptions{});
  check("Adam/betas", AdamOptions{.lr = 0.02, .betas = {0.8, 0.95}, .eps = 1e-4});
  check("Adam/weight_decay", AdamOptions{.lr = 0.02, .weight_decay = 0.2});
  check("Adam/amsgrad", AdamOptions{.lr = 0.05, .betas = {0.5, 0.6}, .weight_decay = 0.1, .amsgrad = true});
  check("AdamW/plain", AdamWOptions{});
  check("AdamW/betas", AdamWOptions{.lr = 0.02, .betas = {0.8, 0.95}, .eps = 1e-4});
  check("AdamW/weight_decay", AdamWOptions{.lr = 0.02, .weight_decay = 0.2});
  check("AdamW/amsgrad", AdamWOptions{.lr = 0.05, .betas = {0.5, 0.6}, .weight_decay = 0.1, .amsgrad = true});
  check("RMSprop/plain", RMSpropOptions{});
  check("RMSprop/alpha", RMSpropOptions{.lr = 0.02, .alpha = 0.7, .eps = 1e-3});
  check("RMSprop/momentum", RMSpropOptions{.lr = 0.02, .weight_decay = 0.1, .momentum = 0.9});
  check("RMSprop/centered", RMSpropOptions{.lr = 0.02, .alpha = 0.9, .centered = true});
  check("RMSprop/all",
        RMSpropOptions{.lr = 0.02, .alpha = 0.9, .weight_decay = 0.1, .momentum = 0.5, .centered = true});
  check("Adagrad/plain", AdagradOptions{});
  check("Adagrad/lr_decay", AdagradOptions{.lr = 0.1, .lr_decay = 0.3, .weight_decay = 0.1});
  check("Adagrad/initial", AdagradOptions{.lr = 0.1, .initial_accumulator_value = 0.5, .eps = 1e-3});
  check.file.check("SGD/groups", [](const golden::Case& one) {
    return ten_steps(one, [](auto& weight, auto& bias) {
      SGD sgd({weight}, {.lr = 0.1, .momentum = 0.9});
      sgd.add_group({bias}, {.lr = 0.02, .momentum = 0.9});
      return sgd;
    });
  });
}
